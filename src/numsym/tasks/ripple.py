"""Addition from the lowest digit, in binary or any other base, where a carry can ripple from column to column."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import check_at_least
from numsym.programs import AdditionVocabulary, Program, State
from numsym.programs.ripple_carry import RippleCarry
from numsym.tasks.base import TASKS
from numsym.tasks.operands import OperandTask


@TASKS.register("ripple_addition")
class RippleAddition(OperandTask):
    """A trial is `a0 b0 a1 b1 .. = s0 s1 .. sn`, lowest digits first: one of all pairs of numbers of n digits.

    `AdditionTask` has the other order, highest digit first, in which no carry is known when its digit is due.

    Args:
        base: digits are 0..base-1, one token each; 2 for binary addition.
        digits: of a and of b, n; the sum has one more.
        interleaved: whether the digits of a and b alternate; else the trial is `a0 a1 .. + b0 b1 .. = s0 s1 .. sn`.
        fraction: the share of all pairs that training sees; the others are held out. 1 holds out none.
        seed: which pairs.

    Raises:
        InvalidArgumentError: base below 2, digits below 1, or as for `OperandTask`.
    """

    name = "ripple_addition"
    programs = ("ripple_carry",)

    def __init__(
        self,
        *,
        base: int = 2,
        digits: int = 4,
        interleaved: bool = True,
        fraction: float | int = 0.8,
        seed: int = 0,
    ):
        check_at_least("base", base, 2)
        check_at_least("digits", digits, 1)
        super().__init__(base**digits, fraction, seed)
        self.base, self.digits, self.interleaved = base, digits, interleaved
        self._vocabulary = AdditionVocabulary.build(base)

    @property
    def search(self) -> tuple[str, str]:
        """The carry into the middle column."""
        return "ripple_carry", f"carry_{max(1, self.digits // 2)}"

    @property
    def vocabulary(self) -> AdditionVocabulary:
        """The tokens; the id of a digit is the digit."""
        return self._vocabulary

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """How many columns carry into the next: what makes a sum hard."""
        places = [self.base**i for i in range(1, self.digits + 1)]
        return torch.stack([plan["a"] % place + plan["b"] % place >= place for place in places]).sum(0)

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The digits, but for the last, after which nothing follows."""
        position = torch.arange(input_ids.shape[1], device=input_ids.device)
        return (input_ids < self.base) & (position < 3 * self.digits + 1 + (not self.interleaved))

    def places(self, input_ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        """The position itself: the same columns must have been added."""
        return torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape)

    def build(self, program: type[Program]) -> RippleCarry:
        """A program of this task, with what it needs to know of it."""
        assert issubclass(program, RippleCarry)
        return program(self.vocabulary, digits=self.digits, interleaved=self.interleaved)
