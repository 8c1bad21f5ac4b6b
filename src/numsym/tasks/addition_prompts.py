"""Addition asked as text: a few worked sums and one more."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_between, check_name
from numsym.hub import load_tokenizer
from numsym.programs import Numbers, State
from numsym.programs.sum_prompts import SumPromptVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.modular import POSITIONS
from numsym.tasks.operands import OperandTask
from numsym.tasks.prompts import PromptTask, end_after, names, numbers_in, unused


@TASKS.register("addition_prompts")
class AdditionPrompts(PromptTask, OperandTask):
    """A trial is a few worked sums and one more, `3 + 5 = 8` a line; the last answer alone is predicted.

    The shots are the same in every trial. Numbers may be several tokens, and an answer is right when all of its tokens
    are; where one number begins as another is written (1 and 12), so must be the line's end after it.

    Args:
        tokenizer: of the model: an object, a folder, a file `*.gguf`, or a name on the Hugging Face hub.
        largest: operands are smallest..largest.
        smallest: likewise.
        largest_sum: sums are at most this, after an exchange too; no limit if not given.
        shots: worked sums before the one that is asked.
        template: a line; `{a}`, `{b}` and `{c}` stand in this order, and `{c}` ends it.
        fraction: the share of all pairs that training sees; the others are held out. 1 holds out none.
        seed: of the shots, and of which pairs are held out.
        intervene_at: where an interchange happens: at the last token of operand "a", of "b", or at the "last" token
            before the answer.
        only_right: whether studies draw only trials that their model answers rightly.

    Raises:
        InvalidArgumentError: an argument is out of range, or the tokenizer cannot write a number; it is named.
    """

    name = "addition_prompts"
    programs = ("prompt_sum", "prompt_operands", "prompt_carry")

    def __init__(
        self,
        *,
        tokenizer: Any,
        largest: int = 9,
        smallest: int = 0,
        largest_sum: int | None = None,
        shots: int = 2,
        template: str = "{a} + {b} = {c}",
        fraction: float | int = 1.0,
        seed: int = 0,
        intervene_at: str = "last",
        only_right: bool = True,
    ):
        check_at_least("largest", largest, 1)
        check_between("smallest", smallest, 0, largest)
        check_at_least("shots", shots, 0)
        check_name("intervene_at", intervene_at, POSITIONS)
        if largest_sum is not None:
            check_between("largest_sum", largest_sum, 2 * smallest, 2 * largest)
        places = [template.find(part) for part in ("{a}", "{b}", "{c}")]
        if -1 in places or places != sorted(places) or not template.endswith("{c}"):
            raise InvalidArgumentError(
                f"template={template!r} is not allowed: it must hold {{a}}, {{b}} and {{c}} once each, in this order, "
                "and end with {c}"
            )
        self.smallest, self.largest = smallest, largest
        self.largest_sum = 2 * largest if largest_sum is None else largest_sum
        number = torch.arange(smallest, largest + 1)
        super().__init__(len(number), fraction, seed, number[:, None] + number <= self.largest_sum)
        self.tokenizer, self.template = load_tokenizer(tokenizer), template
        self.intervene_at, self.only_right = intervene_at, only_right
        order = torch.randperm(len(self._order), generator=torch.Generator().manual_seed(seed + 1))
        worked = self.pairs()[order[torch.arange(shots) % len(order)]].tolist()
        self._shots = "".join(self._line(a, b, a + b) + "\n" for a, b in worked)
        self._prompt = self._read()
        self._check(self._prompt.used())

    def pairs(self, split: str = "all") -> Int[Tensor, "pairs 2"]:
        """See `OperandTask.pairs`."""
        return super().pairs(split) + self.smallest

    def _line(self, a: int | str, b: int | str, c: int | str) -> str:
        return self.template.replace("{a}", str(a)).replace("{b}", str(b)).replace("{c}", str(c))

    def written(self, plan: dict[str, int]) -> str:
        """The text of a trial."""
        return self._shots + self._line(plan["a"], plan["b"], plan["a"] + plan["b"])

    def _read(self) -> SumPromptVocabulary:
        """What stands between the numbers in the tokens, and the numbers' ids there."""
        low, high, some = self.smallest, self.largest, str(self.smallest)
        places: list[Numbers] = []
        starts: list[int] = []
        known: list[tuple[int, ...]] = []
        for mark, first, last in (("{a}", low, high), ("{b}", low, high), ("{c}", 2 * low, self.largest_sum)):
            text = self._shots + self.template[: self.template.index(mark)].replace("{a}", some).replace("{b}", some)
            start, numbers = numbers_in(self.tokenizer, text, first, last)
            # Of what stands before, the numbers that are filled in there are no part.
            done = starts[-1] + len(places[-1].ids[0]) if places else 0
            known.append(tuple(start[done:]))
            starts.append(len(start))
            places.append(numbers)
        a, b, c = places
        whole = self._shots + self._line(some, some, 2 * low)
        end = end_after(self.tokenizer, whole) if c.needs_end else None
        used = {*sum(known, ()), *a.used(), *b.used(), *c.used(), *(() if end is None else (end,))}
        return SumPromptVocabulary(
            names(self.tokenizer),
            pad=unused(self.tokenizer, used),
            before=known[0],
            between=known[1],
            after=known[2],
            a=a,
            b=b,
            c=c,
            end=end,
        )

    @property
    def vocabulary(self) -> SumPromptVocabulary:
        """The tokens."""
        return self._prompt

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The sum."""
        return plan["a"] + plan["b"]

    def landmarks(self, input_ids: Int[Tensor, "batch pos"]) -> dict[str, Int[Tensor, "batch"]]:
        """The last token of each operand, the first between them where there is one, and the last before the answer."""
        v = self._prompt
        a = v.a.end(input_ids, torch.full_like(input_ids[:, 0], len(v.before)))
        b = v.b.end(input_ids, a + 1 + len(v.between))
        return {"a": a, **({"operator": a + 1} if v.between else {}), "b": b, "last": b + len(v.after)}

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The one position that `intervene_at` names."""
        position = self.landmarks(input_ids)[self.intervene_at][:, None]
        return torch.arange(input_ids.shape[1], device=input_ids.device) == position
