"""Tasks whose trials are about a number n, uniform over `counts`, some of which training never sees."""

from collections.abc import Iterable

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs import State
from numsym.tasks.base import Task


class CountedTask(Task):
    """A task whose plan is `target`, the n that a trial is about.

    Args:
        counts: the n that occur; `usual_counts` if not given.
        held_out: those that training never sees. By default those of `usual_held_out` that are in `counts`.

    Raises:
        InvalidArgumentError: `counts` is empty or has a count below 1, a held-out count is not in `counts`, or every
            count is held out.
    """

    usual_counts: Iterable[int] = range(1, 21)
    usual_held_out: tuple[int, ...] = (4, 9, 14, 17)

    def __init__(self, counts: Iterable[int] | None = None, held_out: Iterable[int] | None = None):
        self.counts = tuple(sorted(set(self.usual_counts if counts is None else counts)))
        default = [c for c in self.usual_held_out if c in self.counts and len(self.counts) > 4]
        self.held_out = tuple(sorted(set(default if held_out is None else held_out)))
        if not self.counts:
            raise InvalidArgumentError("counts=() is not allowed: give at least one count, such as range(1, 21)")
        if self.counts[0] < 1:
            raise InvalidArgumentError(f"counts={self.counts!r} is not allowed: every count must be at least 1")
        for count in self.held_out:
            if count not in self.counts:
                raise InvalidArgumentError(
                    f"held_out={self.held_out!r} is not allowed: {count} is not among counts={self.counts!r}"
                )
        if set(self.held_out) == set(self.counts):
            raise InvalidArgumentError(f"held_out={self.held_out!r} is not allowed: no count is left for training")

    @property
    def has_held_out(self) -> bool:
        """Whether some counts are kept out of training."""
        return bool(self.held_out)

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Numbers, uniform over the counts of the split: `{"target": (n,)}`."""
        chosen = {
            "all": self.counts,
            "train": tuple(c for c in self.counts if c not in self.held_out),
            "held_out": self.held_out,
        }[split]
        device = torch.device("cpu") if generator is None else generator.device
        index = torch.randint(len(chosen), (n,), generator=generator, device=device)
        return {"target": torch.tensor(chosen, device=device)[index]}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The target."""
        return plan["target"]
