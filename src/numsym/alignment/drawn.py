"""The interchange pairs that a hypothesis is searched and measured on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch

from numsym.alignment.hypotheses import Hypothesis
from numsym.alignment.pairs import Pairs, Positions, interchange_pairs
from numsym.errors import InvalidArgumentError, check_name
from numsym.programs import FULL, Program
from numsym.tasks import Task

P = TypeVar("P")
"""`Pairs`, or pairs of several directions between two networks."""


@dataclass(frozen=True)
class PairCounts:
    """How many interchange pairs; [N] uses 10,000 and 1,000."""

    train: int = 10_000
    validation: int = 1_000
    test: int = 1_000


@dataclass(frozen=True)
class Drawn(Generic[P]):
    """The pairs of one hypothesis.

    Attributes:
        train: to search with.
        validation: to stop by, and to choose the best parameters by; none of them is among `train`.
        test: to measure on; likewise.
        held_out: the same of held-out numbers; `None` where there are none.
        everything: with all variables exchanged, for what no alignment can beat; `None` between two networks.
    """

    train: P
    validation: P
    test: P
    held_out: P | None
    everything: P | None

    @classmethod
    def draw(
        cls,
        task: Task,
        hypothesis: Hypothesis,
        counts: PairCounts,
        positions: Positions | None,
        source: tuple[Task, Program] | None = None,
    ) -> "Drawn[Pairs]":
        """Draw them, by the hypothesis' seed.

        Args:
            task: of the bases, and of the sources if those come from nowhere else.
            hypothesis: with its program.
            counts: how many.
            positions: intervene only there.
            source: another task and its program, from which the sources come.

        Raises:
            InvalidArgumentError: the pairs to search with are all that the task has.
        """
        pairs = _drawer(task, hypothesis.of(task), positions, source)
        train = pairs(counts.train)
        unseen = [pairs(2 * n).without(train) for n in (counts.validation, counts.test)]
        for name, left in zip(("validation", "test"), unseen, strict=True):
            if len(left) == 0:
                raise InvalidArgumentError(
                    f"train={counts.train} pairs is not allowed: they are all that {task.name} has, and none is left "
                    f"for {name}; ask for fewer"
                )
        both = task.has_held_out and (source is None or source[0].has_held_out)
        held_out = pairs(counts.test, "held_out") if both else None
        validation, test = (p.rows(slice(0, n)) for p, n in zip(unseen, (counts.validation, counts.test), strict=True))
        everything = pairs(counts.test, variables=(FULL,)) if source is None else None
        return Drawn(train, validation, test, held_out, everything)

    def permuted(self, seed: int) -> "Drawn[P]":
        """The same with sources that tell nothing of what follows."""
        generator = torch.Generator().manual_seed(seed)
        sets = {name: getattr(self, name).with_permuted_sources(generator) for name in ("train", "validation", "test")}
        return replace(self, **sets)


def _drawer(
    task: Task, hypothesis: Hypothesis, positions: Positions | None, source: tuple[Task, Program] | None = None
) -> Callable[..., Pairs]:
    """What draws pairs of a hypothesis, one set after the other by its seed: of training first."""
    program, generator = task.program(hypothesis.program), torch.Generator().manual_seed(hypothesis.seed)

    def pairs(n: int, split: str = "train", variables: tuple[str, ...] = hypothesis.variables) -> Pairs:
        options: Any = {"split": split, "positions": positions, "generator": generator, "source": source}
        return interchange_pairs(task, program, variables, n, **options)

    return pairs


def measured_pairs(
    task: Task,
    hypothesis: Hypothesis,
    counts: PairCounts | None = None,
    positions: Positions | None = None,
    *,
    part: str = "test",
) -> Pairs:
    """The pairs on which `align` measures the IIA of a hypothesis, drawn again; or those of another part of it.

    Hypotheses of one seed, about one variable each, have the same trials and positions, row by row.

    Args:
        task: as for `align`.
        hypothesis: likewise.
        counts: likewise.
        positions: likewise.
        part: "train", "validation", "test" or "held_out".

    Raises:
        InvalidArgumentError: "held_out" of a task of which nothing is held out.
    """
    check_name("part", part, ("train", "validation", "test", "held_out"))
    counts = counts or PairCounts()
    if part == "train":  # the first to be drawn
        return _drawer(task, hypothesis.of(task), positions)(counts.train)
    found = getattr(Drawn.draw(task, hypothesis.of(task), counts, positions), part)
    if found is None:
        raise InvalidArgumentError(f"part={part!r} is not allowed: nothing is held out of {task.name}")
    return found
