"""Arithmetic ([N] appendix): a chain of additions and subtractions of small numbers."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs.arithmetic import ArithmeticVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.counted import CountedTask

PREFIX, CYCLE = 3, 5
"""Tokens before the first operation, and in each."""


@TASKS.register("arithmetic")
class Arithmetic(CountedTask):
    """A trial is `B k v0 op x = v1 , op x = v2 , .. E`: k operations, + or -, with values in 0..highest ([N] appendix).

    Args:
        counts: the numbers k of operations; [N] uses 1..20.
        held_out: of these, what training never sees; nothing unless given, since the token of a number is read as k
            and as a value.
        highest: the largest value, and with it the largest operand.

    Raises:
        InvalidArgumentError: as for `CountedTask`, or `highest` is below the largest k, for which it is the last token.
    """

    name = "arithmetic"
    programs = ("deferred_arithmetic", "eager_arithmetic")
    usual_held_out = ()

    def __init__(
        self, *, counts: Iterable[int] | None = None, held_out: Iterable[int] | None = None, highest: int = 20
    ):
        super().__init__(counts, held_out)
        if highest < self.counts[-1]:
            raise InvalidArgumentError(
                f"highest={highest!r} is not allowed: it must be at least the largest count, {self.counts[-1]}"
            )
        self._vocabulary = ArithmeticVocabulary.build(highest)

    @property
    def vocabulary(self) -> ArithmeticVocabulary:
        """The tokens."""
        return self._vocabulary

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """Values, operators and operands: not `B`, k, `=`, `,` or `E`."""
        v = self.vocabulary
        value = (input_ids >= v.first) | (input_ids == v.plus) | (input_ids == v.minus)
        return value & (torch.arange(input_ids.shape[1], device=input_ids.device) >= PREFIX - 1)

    def places(self, input_ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
        """The step within an operation, of which an interchange is between two of the same; v0 comes where `,` does."""
        position = torch.arange(input_ids.shape[1], device=input_ids.device)
        return ((position - PREFIX) % CYCLE).expand(input_ids.shape)
