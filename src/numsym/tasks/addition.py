"""The addition tasks of [F]: the same sum in one token or in several, and modular addition."""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.programs.addition import Addition, AdditionVocabulary
from numsym.programs.base import Program, State
from numsym.tasks.base import TASKS, Task


class SumTask(Task):
    """What tasks of written sums `a + b = c` have in common: pairs held out, and where a number can be exchanged.

    Which pairs are held out is a mixed-up function of the pair alone: it tells nothing of a digit or of the sum. Two
    trials are exchanged at the same position, where both numbers have been read equally far.

    Args:
        held_out: one pair in so many is kept out of training; 0 is none.

    Raises:
        InvalidArgumentError: `held_out` is negative, or 1.
    """

    def __init__(self, held_out: int):
        check_at_least("held_out", held_out, 0)
        if held_out == 1:
            raise InvalidArgumentError("held_out=1 is not allowed: every pair would be held out; give 0, or 2 and more")
        self.held_out = held_out

    @abstractmethod
    def uniform(self, n: int, generator: torch.Generator | None) -> State:
        """Pairs of any split, all as likely: `{"a": (n,), "b": (n,)}`."""

    @property
    def has_held_out(self) -> bool:
        """Whether pairs are kept out of training."""
        return self.held_out > 0

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Pairs of a split; those of the other one are drawn anew."""
        plan = self.uniform(n, generator)
        while self.held_out and split != "all":
            mixed = (plan["a"] * 0x9E3779B1 + plan["b"] * 0x85EBCA6B) & 0xFFFFFFFF
            mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
            wrong = (((mixed ^ (mixed >> 12)) % self.held_out == 0) != (split == "held_out")).nonzero().flatten()
            if not len(wrong):
                break
            again = self.uniform(len(wrong), generator)
            plan = {name: values.index_put((wrong,), again[name]) for name, values in plan.items()}
        return plan

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The digits of a and b: where a number can still be exchanged before the answer begins."""
        v: Any = self.vocabulary
        return (input_ids < v.plus) & ((input_ids == v.equals).cumsum(dim=1) == 0)

    def places(self, input_ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        """The position itself: both numbers must have been read equally far."""
        return torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape)


@TASKS.register("addition")
class AdditionTask(SumTask):
    """A trial is `a + b = c`, each number written in `digits` tokens of base `base`, highest first.

    With one digit a sum is one token (the single-token route of [F]); with more, every output token is
    c_i = (a_i + b_i + carry) mod base (the multi-token route). Without `modular`, pairs are uniform over those whose
    sum has no further digit; with it, a and b are uniform and the sum is taken modulo base^digits.

    Args:
        base: digits are 0..base-1, one token each.
        digits: tokens a number.
        modular: whether the sum wraps.
        held_out: one pair in so many is kept out of training; 0 is none.

    Raises:
        InvalidArgumentError: base below 2, digits below 1, or numbers beyond 2^62.
    """

    name = "addition"
    programs = ("addition",)

    def __init__(self, *, base: int = 100, digits: int = 3, modular: bool = False, held_out: int = 0):
        check_at_least("base", base, 2)
        check_at_least("digits", digits, 1)
        if base**digits >= 2**61:
            raise InvalidArgumentError(
                f"digits={digits!r} is not allowed with base={base}: numbers must stay below 2^61 to be added in int64"
            )
        super().__init__(held_out)
        self.base, self.digits, self.modular = base, digits, modular
        self._vocabulary = AdditionVocabulary.build(base)

    @property
    def vocabulary(self) -> AdditionVocabulary:
        """The tokens; the id of a digit is the digit."""
        return self._vocabulary

    @property
    def numbers(self) -> int:
        """How many numbers have a token of their own, from 0."""
        return self.base

    @property
    def longest(self) -> int:
        """The tokens of a trial."""
        return 3 * self.digits + 2

    def uniform(self, n: int, generator: torch.Generator | None) -> State:
        """Over all pairs, or over those whose sum has no further digit."""
        device = torch.device("cpu") if generator is None else generator.device
        size = self.base**self.digits
        a = torch.randint(size, (n,), generator=generator, device=device)
        if self.modular:
            return {"a": a, "b": torch.randint(size, (n,), generator=generator, device=device)}
        # A rectangle of size x (size + 1) points is two copies of the triangle a + b < size, one turned around.
        b = torch.randint(size + 1, (n,), generator=generator, device=device)
        over = a + b >= size
        return {"a": torch.where(over, size - 1 - a, a), "b": torch.where(over, size - b, b)}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The lowest digit of the sum."""
        return (plan["a"] + plan["b"]) % self.base

    def build(self, program: type[Program]) -> Addition:
        """A program of this task, with what it needs to know of it."""
        assert issubclass(program, Addition)
        return program(self.vocabulary, digits=self.digits)
