"""The next number asked as text: which one follows `3 4 5`?"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.hub import load_tokenizer
from numsym.programs import State
from numsym.programs.prompts import SuccessorVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.prompts import NumberPrompts, end_after, names, numbers_in, unused


@TASKS.register("successor_prompts")
class SuccessorPrompts(NumberPrompts):
    """A trial is a few numbers that follow each other, and the next one, which is predicted: `: 3 4 5 6`.

    Numbers may be several tokens; see `AdditionPrompts`.

    Args:
        tokenizer: of the model: an object, a folder, a file `*.gguf`, or a name on the Hugging Face hub.
        largest: all numbers are smallest..largest, the answer too.
        smallest: likewise.
        length: how many are given.
        held_out: answers kept out of training.
        shots: lines before the one that is asked, the same in every trial.
        opening: what a line begins with; the numbers follow, each after a space.
        seed: of the shots.
        intervene_at: where an interchange happens: at the last token of the last "number" that is given, or at the
            "last" token before the answer; they are one where no token stands between number and answer.
        only_right: whether studies draw only trials that their model answers rightly.

    Raises:
        InvalidArgumentError: an argument is out of range, or the tokenizer cannot write a number.
    """

    name = "successor_prompts"
    programs = ("successor",)

    def __init__(
        self,
        *,
        tokenizer: Any,
        largest: int = 9,
        smallest: int = 0,
        length: int = 3,
        held_out: Sequence[int] = (),
        shots: int = 0,
        opening: str = "",
        seed: int = 0,
        intervene_at: str = "last",
        only_right: bool = True,
    ):
        check_at_least("smallest", smallest, 0)
        check_at_least("length", length, 1)
        check_at_least("shots", shots, 0)
        check_name("intervene_at", intervene_at, ("number", "last"))
        check_at_least("largest", largest, smallest + length + 1)
        answers = range(smallest + length, largest + 1)
        if not set(held_out) <= set(answers) or len({*held_out}) >= len(answers):
            raise InvalidArgumentError(
                f"held_out={tuple(held_out)!r} is not allowed: held-out answers lie in {answers[0]}..{answers[-1]} and "
                "leave one for training"
            )
        self.tokenizer, self.largest, self.smallest, self.length = load_tokenizer(tokenizer), largest, smallest, length
        self.held_out, self.opening = tuple(held_out), opening
        self.intervene_at, self.only_right = intervene_at, only_right
        order = torch.randperm(len(answers), generator=torch.Generator().manual_seed(seed)).tolist()
        lines = [self._line(smallest + order[shot % len(order)]) for shot in range(shots)]
        self._shots = "".join(f"{line}\n" for line in lines)
        self._vocabulary = self._read()
        v = self._vocabulary
        self._check({*v.before, *v.lead, *v.numbers.used(), *(() if v.end is None else (v.end,))})

    def _line(self, first: int) -> str:
        return " ".join([self.opening, *(str(first + i) for i in range(self.length + 1))])

    def written(self, plan: dict[str, int]) -> str:
        """The text of a trial."""
        return self._shots + self._line(plan["first"])

    def _read(self) -> SuccessorVocabulary:
        opening, low = self._shots + self.opening, self.smallest
        start, numbers = numbers_in(self.tokenizer, f"{opening} ", low, self.largest)
        second, _ = numbers_in(self.tokenizer, f"{opening} {low} ", low, self.largest)
        lead = tuple(second[len(start) + len(numbers.ids[0]) :])
        end = end_after(self.tokenizer, self._shots + self._line(low)) if numbers.needs_end else None
        used = {*start, *lead, *numbers.used(), *(() if end is None else (end,))}
        return SuccessorVocabulary(
            names(self.tokenizer),
            pad=unused(self.tokenizer, used),
            before=tuple(start[: len(start) - len(lead)]),
            lead=lead,
            numbers=numbers,
            length=self.length,
            end=end,
        )

    @property
    def vocabulary(self) -> SuccessorVocabulary:
        """The tokens."""
        return self._vocabulary

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """First numbers, uniform over those of a split: `{"first": (n,)}`."""
        device = torch.device("cpu") if generator is None else generator.device
        answers = range(self.smallest + self.length, self.largest + 1)
        kept = [answer - self.length for answer in self.of_split(answers, split)]
        index = torch.randint(len(kept), (n,), generator=generator, device=device)
        return {"first": torch.tensor(kept, device=device)[index]}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The answer."""
        return plan["first"] + self.length

    def landmarks(self, input_ids: Int[Tensor, "batch pos"]) -> dict[str, Int[Tensor, "batch"]]:
        """The last token of the first and of the last number given, and the last token before the answer."""
        v = self._vocabulary
        at = torch.full_like(input_ids[:, 0], len(v.before) - 1)
        found = []
        for _ in range(self.length):
            at = v.numbers.end(input_ids, at + 1 + len(v.lead))
            found.append(at)
        return {"first": found[0], "number": at, "last": at + len(v.lead)}

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The one position that `intervene_at` names."""
        position = self.landmarks(input_ids)[self.intervene_at][:, None]
        return torch.arange(input_ids.shape[1], device=input_ids.device) == position
