"""IIA as one thing changes: the steps of training, the width of the network, the coordinates exchanged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from numsym.alignment import AlignmentResult, Hypothesis, Share, align_many
from numsym.errors import InvalidArgumentError
from numsym.results import plain
from numsym.shares import spearman
from numsym.tasks import Task
from numsym.training import evaluate

Results = Mapping[str, AlignmentResult]
"""Alignments by the name of their hypothesis."""


@dataclass(frozen=True)
class Point:
    """What was found at one value of what changes.

    Attributes:
        x: the value.
        accuracy: trial accuracy of the network there.
        iia, held_out: by hypothesis; `held_out` is empty where nothing is held out.
        controls: hypothesis -> control -> share.
    """

    x: int
    accuracy: float
    iia: dict[str, Share]
    held_out: dict[str, Share]
    controls: dict[str, dict[str, Share]]


@dataclass(frozen=True)
class Curve:
    """IIA of some hypotheses against one thing.

    Attributes:
        axis: what changes, in words.
        points: in rising order of it.
        correlation: hypothesis -> Spearman's rank correlation of IIA and trial accuracy over the points; `None` where
            one of the two does not vary. The points of one training run are not independent of each other, so it comes
            with its n and without a p-value.
    """

    axis: str
    points: tuple[Point, ...]
    correlation: dict[str, float | None]

    @classmethod
    def of(cls, axis: str, rows: Mapping[int, tuple[float, Results]]) -> "Curve":
        """From x -> trial accuracy and alignments.

        Raises:
            InvalidArgumentError: there is no row.
        """
        if not rows:
            raise InvalidArgumentError("rows is empty, which is not allowed: give at least one")
        points = tuple(_point(x, *rows[x]) for x in sorted(rows))
        accuracy = torch.tensor([point.accuracy for point in points])
        names = points[0].iia
        ranks = {name: spearman(torch.tensor([p.iia[name].value for p in points]), accuracy) for name in names}
        return cls(axis, points, ranks)

    @property
    def names(self) -> list[str]:
        """The hypotheses."""
        return list(self.points[0].iia)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the number of points with them."""
        return {**plain(vars(self)), "n": len(self.points)}


def _point(x: int, accuracy: float, results: Results) -> Point:
    return Point(
        x=x,
        accuracy=accuracy,
        iia={name: result.test.iia for name, result in results.items()},
        held_out={name: result.held_out.iia for name, result in results.items() if result.held_out is not None},
        controls={name: dict(result.controls) for name, result in results.items()},
    )


def iia_of_models(
    axis: str, models: Mapping[int, nn.Module], task: Task, hypotheses: Mapping[str, Hypothesis], **options: Any
) -> Curve:
    """Search for the same hypotheses in several networks: checkpoints of one training, or networks of several widths.

    [N] finds that IIA rises with training in step with trial accuracy.

    Args:
        axis: what the keys of `models` are, such as "optimiser steps" or "width".
        models: key -> network.
        task: what they do.
        hypotheses: what to search for in each, by name.
        options: of `align_many`.
    """
    rows = {}
    for x, model in models.items():
        results = align_many(model, task, list(hypotheses.values()), **options)
        rows[x] = evaluate(model, task).accuracy, dict(zip(hypotheses, results, strict=True))
    return Curve.of(axis, rows)


def iia_by_k(
    model: nn.Module, task: Task, hypotheses: Mapping[str, Hypothesis], dimensions: Sequence[int], **options: Any
) -> Curve:
    """Search for the same hypotheses with several numbers of coordinates, all as one batch.

    Args:
        model: a network.
        task: what it does.
        hypotheses: by name; their `subspace_dim` is replaced.
        dimensions: the numbers of coordinates.
        options: of `align_many`.
    """
    wanted = [(k, name, replace(h, subspace_dim=k)) for k in dimensions for name, h in hypotheses.items()]
    results = align_many(model, task, [h for _, _, h in wanted], **options)
    found: dict[int, dict[str, AlignmentResult]] = {k: {} for k in dimensions}
    for (k, name, _), result in zip(wanted, results, strict=True):
        found[k][name] = result
    accuracy = evaluate(model, task).accuracy
    return Curve.of("coordinates exchanged (k)", {k: (accuracy, rows) for k, rows in found.items()})
