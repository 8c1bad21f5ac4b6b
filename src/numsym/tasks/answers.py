"""Which trials a model answers rightly: an exchange between others says nothing of how it does the task."""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs import State
from numsym.shares import Share
from numsym.tasks.base import Batch, Task

ASKED = 1000
"""Trials drawn to say which share is answered rightly; each is asked once."""
FEWEST = 5
"""Different trials that must be answered rightly."""
TRIES = 100
"""How often trials are drawn again when too few of them are answered rightly."""


class Answers:
    """The trials of a task that a model answers rightly, each asked once.

    Args:
        task: whose plans say all of a trial.
        right: which trials of a batch are answered rightly.
    """

    def __init__(self, task: Task, right: Callable[[Batch], Bool[Tensor, "batch"]]):
        self.task, self.right = task, right
        self._known: dict[tuple[int, ...], bool] = {}

    @cached_property
    def share(self) -> Share:
        """The share of different trials that are answered rightly, of those among `ASKED` that are drawn."""
        plan = self.task.draw(ASKED, "all", torch.Generator().manual_seed(0))
        self.rightly(plan)
        return Share.of_counts(sum(self._known.values()), len(self._known))

    def check(self) -> None:
        """Raise `InvalidArgumentError` where too few are answered rightly."""
        right = round(self.share.value * self.share.n)
        if right < FEWEST:
            raise InvalidArgumentError(
                f"only_right=True is not allowed here: the model answers {right or 'none'} of {self.share.n} different "
                f"trials of {self.task.name} rightly, and {FEWEST} are the fewest; try other shots or another "
                "template, or take all trials by only_right=False"
            )

    def rightly(self, plan: State) -> Bool[Tensor, "batch"]:
        """Which of these trials are answered rightly, on the CPU."""
        rows, which = self._rows(plan).unique(dim=0, return_inverse=True)
        keys = [tuple(row) for row in rows.tolist()]
        asked = rows[torch.tensor([key not in self._known for key in keys])]
        if len(asked):
            columns = dict(zip(sorted(plan), asked.unbind(1), strict=True))
            found = self.right(self.task.sample(len(asked), plan=columns)).cpu()
            self._known |= {tuple(row): bool(one) for row, one in zip(asked.tolist(), found, strict=True)}
        return torch.tensor([self._known[key] for key in keys])[which]

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Plans of `n` trials that are answered rightly; see `Task.draw`.

        Raises:
            InvalidArgumentError: too few of all, or none of the split, are.
        """
        self.check()
        found: list[State] = []
        for _ in range(TRIES):
            plan = self.task.draw(n, split, generator)
            kept = self.rightly(plan).nonzero()[:, 0]
            found.append({name: values[kept.to(values.device)] for name, values in plan.items()})
            joined = {name: torch.cat([part[name] for part in found])[:n] for name in plan}
            if len(next(iter(joined.values()))) == n:
                return joined
        raise InvalidArgumentError(
            f"split={split!r} is not allowed here: of {n * TRIES} such trials of {self.task.name} the model answers "
            f"only {len(next(iter(joined.values())))} rightly"
        )

    @staticmethod
    def _rows(plan: State) -> Int[Tensor, "batch entry"]:
        return torch.stack([plan[name] for name in sorted(plan)], 1).cpu()
