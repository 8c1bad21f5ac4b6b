"""The programs that fill a fixed span in as many steps as were counted ([N] appendix): Increment and its mirror image.

Their counts are fractions, kept exactly: every value of `count` and `incr` is a whole number of 1/L, where L is the
least common multiple of all numbers that max_count may be divided by. So a step is an integer division without a rest,
an exchange copies an exact value, and the end is an exact comparison.
"""

import math
from abc import abstractmethod

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs.base import PROGRAMS, State
from numsym.programs.counting import CountingProgram, CountingVocabulary


class SpanProgram(CountingProgram):
    """Counts objects; after the trigger runs through max_count in steps of max_count / objects.

    In the demonstration `incr` is what the step would be if the trigger came now; the trigger sets it anew from the
    count, through the task's transform, and restarts the count. A fraction of an object, which only an exchange can
    bring into the demonstration, counts as a whole one. Where the transform gives 0 the span is over at once.

    Raises:
        InvalidArgumentError: `highest` is so large that the fractions leave int64.
    """

    variables = ("phase", "count", "incr")
    numbers = ("count", "incr")

    def __init__(
        self,
        vocabulary: CountingVocabulary,
        *,
        void_prob: float | int = 0.0,
        transform: str = "identity",
        highest: int = 20,
    ):
        super().__init__(vocabulary, void_prob=void_prob, transform=transform, highest=highest)
        counts = torch.arange(1, highest + 1)
        divisors = {*counts.tolist(), *self.transformed(counts).tolist()} - {0}
        self.parts = math.lcm(*divisors)
        self.span = highest * self.parts
        if self.span * (highest + 1) >= 2**62:
            raise InvalidArgumentError(
                f"counts up to {highest} are not allowed in {type(self).__name__}: its exact fractions leave int64"
            )

    @property
    @abstractmethod
    def first(self) -> int:
        """The count at the trigger, in 1/L."""

    @property
    @abstractmethod
    def last(self) -> int:
        """The count at which the end comes, in 1/L."""

    def unit(self, variable: str) -> int:
        """L for the count and the step, 1 for the phase."""
        return self.parts if variable in self.numbers else 1

    def demonstrated(self, state: State) -> Int[Tensor, "batch"]:
        """The count, a started object as a whole one."""
        return -torch.div(-state["count"], self.parts, rounding_mode="floor")

    def turn(self, state: State) -> State:
        """The step from the objects counted; the count restarts, at its last value where no response is due."""
        due = self.transformed(self.demonstrated(state))
        count = torch.where(due > 0, self.first, self.last)
        return {"count": count, "incr": self._step(due)}

    def count(self, state: State, demonstration: Int[Tensor, "batch"], response: Int[Tensor, "batch"]) -> State:
        """One object more in the demonstration; one step towards the end in the response."""
        towards = 1 if self.last > self.first else -1
        count = state["count"] + demonstration * self.parts + towards * response * state["incr"]
        preview = self._step(self.demonstrated({"count": count}))
        return {"count": count, "incr": torch.where(demonstration == 1, preview, state["incr"])}

    def _step(self, objects: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        return torch.div(self.span, objects.clamp_min(1), rounding_mode="floor")


@PROGRAMS.register("increment")
class Increment(SpanProgram):
    """After the trigger the count restarts at 0 and rises by max_count / demo count; the end is at max_count ([N])."""

    first = 0

    @property
    def last(self) -> int:
        """max_count, in 1/L."""
        return self.span

    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """What is missing from max_count, in 1/L."""
        return self.span - state["count"]


@PROGRAMS.register("decrement")
class Decrement(SpanProgram):
    """After the trigger the count is max_count and falls by max_count / demo count; the end comes at 0.

    [N] names a variant of Increment without defining it in what we have of it; this is the mirror image.
    """

    last = 0

    @property
    def first(self) -> int:
        """max_count, in 1/L."""
        return self.span

    def remaining(self, state: State) -> Int[Tensor, "batch"]:
        """The count itself, in 1/L."""
        return state["count"]
