"""Addition asked as text: a few worked sums and one more."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.hub import load_tokenizer
from numsym.programs import State
from numsym.programs.prompts import SumPromptVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.modular import ModularAddition
from numsym.tasks.prompts import PromptTask, names, single_tokens, unused


@TASKS.register("addition_prompts")
class AdditionPrompts(PromptTask, ModularAddition):
    """A trial is a few worked sums and one more, `3 + 5 = 8` a line; the last answer alone is predicted.

    The shots are the same in every trial, so each trial has the same positions. Every number must be one token.

    Args:
        tokenizer: of the model: an object, a folder, or a name on the Hugging Face hub.
        largest: operands are 0..largest.
        shots: worked sums before the one that is asked.
        template: a line; `{a}`, `{b}` and `{c}` stand in this order, and `{c}` ends it.
        fraction: the share of all pairs that training sees; the others are held out. 1 holds out none.
        seed: of the shots, and of which pairs are held out.
        intervene_at: where an interchange happens: at operand "a", at "b", or at the "last" token before the answer.

    Raises:
        InvalidArgumentError: an argument is out of range, or a number is not one token: the message says which.
    """

    name = "addition_prompts"
    programs = ("prompt_sum", "prompt_operands")

    def __init__(
        self,
        *,
        tokenizer: Any,
        largest: int = 9,
        shots: int = 2,
        template: str = "{a} + {b} = {c}",
        fraction: float | int = 1.0,
        seed: int = 0,
        intervene_at: str = "last",
    ):
        check_at_least("largest", largest, 1)
        check_at_least("shots", shots, 0)
        places = [template.find(part) for part in ("{a}", "{b}", "{c}")]
        if -1 in places or places != sorted(places) or not template.endswith("{c}"):
            raise InvalidArgumentError(
                f"template={template!r} is not allowed: it must hold {{a}}, {{b}} and {{c}} once each, in this order, "
                "and end with {c}"
            )
        super().__init__(p=largest + 1, fraction=fraction, seed=seed, intervene_at=intervene_at)
        self.tokenizer, self.largest, self.template = load_tokenizer(tokenizer), largest, template
        worked = torch.randint(largest + 1, (shots, 2), generator=torch.Generator().manual_seed(seed)).tolist()
        self._shots = "".join(self._line(a, b, a + b) + "\n" for a, b in worked)
        self._prompt = self._read()
        self._check({*self._prompt.template, *sum(self._prompt.numbers, ())})

    def _line(self, a: int | str, b: int | str, c: int | str) -> str:
        return self.template.replace("{a}", str(a)).replace("{b}", str(b)).replace("{c}", str(c))

    def written(self, plan: dict[str, int]) -> str:
        """The text of a trial."""
        return self._shots + self._line(plan["a"], plan["b"], plan["a"] + plan["b"])

    def _read(self) -> SumPromptVocabulary:
        """Where the numbers stand in the tokens, and their ids there."""
        places, tables, start = [], [], [0]
        for mark, times in (("{a}", 1), ("{b}", 1), ("{c}", 2)):
            before = self._shots + self.template[: self.template.index(mark)].replace("{a}", "0").replace("{b}", "0")
            start, ids = single_tokens(
                self.tokenizer,
                [f"{before}{number}" for number in range(times * self.largest + 1)],
                range(times * self.largest + 1),
                "number",
                # n numbers, 0 to n - 1, are one token; sums go up to twice the largest operand.
                [f"take largest={max(n - 1, 0) // times} or less" for n in range(times * self.largest + 1)],
            )
            places.append(len(start))
            tables.append(tuple(ids))
        template = (*start, tables[2][0])
        return SumPromptVocabulary(
            names(self.tokenizer),
            pad=unused(self.tokenizer, {*template, *sum(tables, ())}),
            p=2 * self.largest + 1,
            template=template,
            places=(places[0], places[1], places[2]),
            numbers=tuple(tables),
        )

    @property
    def vocabulary(self) -> SumPromptVocabulary:
        """The tokens."""
        return self._prompt

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The sum."""
        return plan["a"] + plan["b"]

    def _named(self) -> dict[str, int]:
        """The operands, the first token between them where there is one, and the last before the answer."""
        a, b, answer = self._prompt.places
        return {"a": a, **({"operator": a + 1} if b > a + 1 else {}), "b": b, "last": answer - 1}
