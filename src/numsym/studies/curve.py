"""IIA as one thing changes, beside trial accuracy: what `over_training` and `width` find, and its figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch

from numsym.alignment import AlignmentResult
from numsym.errors import InvalidArgumentError
from numsym.figures import COLOURS, drawing, spread
from numsym.results import Result
from numsym.shares import Share, spearman

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 6
"""So many points are each marked on the axis; of more, every other."""

RANK = "rank correlation of IIA and accuracy"


C = TypeVar("C", bound="Curve")


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

    @classmethod
    def of(cls, x: int, accuracy: float, results: Mapping[str, AlignmentResult]) -> "Point":
        """From alignments by the names of their hypotheses."""
        held_out = {name: one.held_out.iia for name, one in results.items() if one.held_out is not None}
        controls = {name: dict(one.controls) for name, one in results.items()}
        return cls(x, accuracy, {name: one.test.iia for name, one in results.items()}, held_out, controls)


@dataclass(frozen=True, repr=False)
class Curve(Result):
    """IIA of some hypotheses against one thing.

    Attributes:
        axis: what changes, in words.
        points: in rising order of it.
        correlation: hypothesis -> Spearman's rank correlation of IIA and trial accuracy over the points; `None` where
            one of the two does not vary. The points of one training run are not independent of each other, so it comes
            with their number and without a p-value.
    """

    axis: str
    points: tuple[Point, ...]
    correlation: dict[str, float | None]

    name: ClassVar[str] = "curve"

    @classmethod
    def of(cls: type[C], axis: str, rows: Mapping[int, tuple[float, Mapping[str, AlignmentResult]]]) -> C:
        """From x -> trial accuracy, and alignments by the names of their hypotheses.

        Raises:
            InvalidArgumentError: there is no row.
        """
        if not rows:
            raise InvalidArgumentError("rows is empty, which is not allowed: give at least one")
        points = tuple(Point.of(x, *rows[x]) for x in sorted(rows))
        accuracy = torch.tensor([point.accuracy for point in points])
        ranks = {name: spearman(torch.tensor([p.iia[name].value for p in points]), accuracy) for name in points[0].iia}
        return cls(axis, points, ranks)

    @property
    def names(self) -> list[str]:
        """The hypotheses."""
        return list(self.points[0].iia)

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"IIA in percent, with 95 % intervals, by {self.axis}"

    def rows(self) -> list[dict[str, Any]]:
        """A row a point and hypothesis: IIA, held-out IIA and controls."""
        return [
            {
                "axis": self.axis,
                "x": point.x,
                "accuracy": point.accuracy,
                "hypothesis": name,
                "iia": iia,
                "heldout_iia": point.held_out.get(name),
                **point.controls[name],
            }
            for point in self.points
            for name, iia in point.iia.items()
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The hypotheses side by side, and how each goes with accuracy."""
        wide = [{"x": p.x, "accuracy": f"{100 * p.accuracy:.1f}", **p.iia} for p in self.points]
        ranks = [{"hypothesis": name, RANK: rho} for name, rho in self.correlation.items()]
        return {self.title: wide, f"by {self.axis}, over {len(self.points)} points": ranks}

    def figure(self) -> "Figure":
        """One panel; see `draw`."""
        return draw(self)


def draw(*curves: Curve) -> "Figure":
    """One panel a curve: IIA with 95 % intervals, held-out IIA hollow, its floor dotted, accuracy in grey."""
    with drawing() as plt:
        size = (4.4 * len(curves) + 0.6, 3.0 + 0.15 * max(3 * len(curve.names) for curve in curves))
        figure, panels = plt.subplots(1, len(curves), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for axes, curve in zip(panels[0], curves, strict=True):
            _panel(axes, curve)
        panels[0][0].set_ylabel("share of trials right")
        labels = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels[0])
        entries = {text: handle for of_one in labels for handle, text in of_one}
        # Below the axes' labels, however many lines it takes.
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncol=3)
    return figure


def _panel(axes: "Axes", curve: Curve) -> None:
    xs = [point.x for point in curve.points]
    axes.plot(xs, [p.accuracy for p in curve.points], color="grey", linewidth=1.2, label="trial accuracy")
    for i, name in enumerate(curve.names):
        _hypothesis(axes, curve, name, COLOURS[i % len(COLOURS)])
    if min(xs) == 0:
        axes.set_xscale("symlog", linthresh=min((x for x in xs if x > 0), default=1))
    else:
        axes.set_xscale("log", base=2)
    ticks = xs if len(xs) <= FEW else xs[::2]
    axes.set_xticks(ticks, [str(x) for x in ticks])
    axes.minorticks_off()
    axes.set(xlabel=curve.axis, ylim=(-0.03, 1.03))
    said = [f"{name} {rho:.2f}" for name, rho in curve.correlation.items() if rho is not None]
    if said:
        title = f"rank correlation with accuracy (n = {len(xs)}): " + ", ".join(said)
        axes.set_title(title, fontsize=7.5, loc="left")


def _hypothesis(axes: "Axes", curve: Curve, name: str, colour: str) -> None:
    xs, shares = [point.x for point in curve.points], [point.iia[name] for point in curve.points]
    look: Any = {"color": colour, "markersize": 4, "linewidth": 1.2, "elinewidth": 0.8}
    axes.errorbar(xs, [s.value for s in shares], yerr=spread(shares), fmt="o-", label=f"IIA {name}", **look)
    if all(name in point.held_out for point in curve.points):
        values = [point.held_out[name].value for point in curve.points]
        look = {"color": colour, "markersize": 4, "linewidth": 0.8, "markerfacecolor": "white"}
        axes.plot(xs, values, "o--", label=f"IIA {name}, held-out", **look)
    if all("floor" in point.controls[name] for point in curve.points):
        values = [point.controls[name]["floor"].value for point in curve.points]
        axes.plot(xs, values, ":", color=colour, linewidth=0.9, label=f"floor {name}")
