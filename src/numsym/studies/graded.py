"""Graded IIA: is a network's variable equally exact everywhere? [N] finds less for larger numbers and differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from numsym.alignment import (
    AlignmentResult,
    Hypotheses,
    PairCounts,
    Pairs,
    SearchSettings,
    Site,
    align_many,
    interchange_pairs,
    measured_pairs,
    named,
    right_of,
)
from numsym.alignment.measurement import Measurement
from numsym.alignment.pairs import Positions
from numsym.errors import InvalidArgumentError, Options, check_at_least, options_of
from numsym.figures import COLOURS, drawing, points
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.shares import Share, shares_by, spearman
from numsym.studies.catalog import study
from numsym.tasks import Task
from numsym.training import rightly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST = 5
"""Pairs that a cell of the figure must have to be drawn."""


@dataclass(frozen=True)
class Grades:
    """IIA of one alignment on one set of pairs, by what the pairs are about.

    Attributes:
        measurement: IIA over all pairs, by base count, by source count, and by |source value - base value|.
        by_signed_difference: by source value - base value of the exchanged variable.
        cells: (base value, source value) -> share.
        trends: "base_count", "source_count", "difference" (absolute) -> Spearman's rank correlation of it with being
            right, over pairs; `None` where one of the two does not vary.
        n: the number of pairs.
    """

    measurement: Measurement
    by_signed_difference: dict[int, Share]
    cells: dict[tuple[int, int], Share]
    trends: dict[str, float | None]
    n: int

    @classmethod
    def of(cls, right: Bool[Tensor, "batch"], pairs: Pairs) -> "Grades":
        """From which pairs are right."""
        base, source = pairs.base_value.cpu(), pairs.source_value.cpu()
        cells: dict[tuple[int, int], Share] = {}
        for first in base.unique().tolist():
            here = base == first
            cells |= {(first, second): share for second, share in shares_by(right[here], source[here]).items()}
        graders = {
            "base_count": pairs.base_counts.cpu(),
            "source_count": pairs.source_counts.cpu(),
            "difference": (source - base).abs(),
        }
        trends = {name: spearman(values, right.long()) for name, values in graders.items()}
        return cls(Measurement.of(right, pairs), shares_by(right, source - base), cells, trends, len(right))


@dataclass(frozen=True, repr=False)
class Graded(Result):
    """The grades of several alignments, by name."""

    graded: dict[str, Grades]

    name: ClassVar[str] = "graded"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "IIA in percent; rank correlation of being right with"

    def rows(self) -> list[dict[str, Any]]:
        """A row an alignment: its IIA, and how being right goes with the counts and their difference."""
        found = self.graded.items()
        return [{"alignment": name, "iia": one.measurement.iia, "pairs": one.n, **one.trends} for name, one in found]

    def figure(self) -> "Figure":
        """Above, with intervals for all alignments, by counts and difference; below, a grid of values for each."""
        from matplotlib.ticker import MaxNLocator

        columns = max(3, len(self.graded))
        with drawing() as plt:
            figure, (above, below) = plt.subplots(2, columns, figsize=(3.1 * columns, 5.6))
            for i, (name, one) in enumerate(self.graded.items()):
                shift, colour = 0.25 * (i - (len(self.graded) - 1) / 2), COLOURS[i % len(COLOURS)]
                grades = (one.measurement.by_base_count, one.measurement.by_source_count, one.by_signed_difference)
                for axes, shares in zip(above, grades, strict=False):
                    points(axes, shares, shift, colour, label=name)
                _grid(figure, below[i], name, one)
            labels = ("count of the base trial", "count of the source trial", "source value - base value")
            for axes, label in zip(above, labels, strict=False):
                axes.set(xlabel=label, ylim=(-0.03, 1.03))
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            above[0].set_ylabel("IIA (all tokens of the trial)")
            for axes in (*above[3:], *below[len(self.graded) :]):
                axes.set_axis_off()
            room = len(self.graded) < columns
            handles = above[0].get_legend_handles_labels()
            below[-1 if room else 0].legend(*handles, loc="center" if room else "upper left")
            figure.tight_layout()
        return figure


def _grid(figure: "Figure", axes: "Axes", name: str, one: Grades) -> None:
    bases, sources = (sorted({cell[i] for cell in one.cells}) for i in (0, 1))
    grid = [[float("nan")] * len(sources) for _ in bases]
    for (base, source), share in one.cells.items():
        if share.n >= FEWEST:
            grid[bases.index(base)][sources.index(source)] = share.value
    image = axes.imshow(grid, origin="lower", cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for values, put in ((sources, axes.set_xticks), (bases, axes.set_yticks)):
        shown = range(0, len(values), max(1, len(values) // 6))
        put(list(shown), [str(values[i]) for i in shown])
    axes.set(xlabel="source value", ylabel="base value")
    axes.set_title(f"IIA, {name}; cells of {FEWEST} pairs or more", fontsize=8, loc="left")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, fraction=0.05)


@study
def graded(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    measured: int = 20_000,
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = ("floor",),
    engine: str = "auto",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Graded:
    """IIA by base count, source count, difference, and both values, on many fresh pairs.

    Args:
        model: as for `numsym.align_many`, and so are all others but `measured`.
        task: what it does.
        hypotheses: what to search for, one variable each.
        measured: how many further pairs IIA is measured on; those that the search trained on are left out of them.
        site: where.
        positions: where in the trials.
        search: its settings.
        pairs: how many for the search.
        controls: which.
        engine: the route.
        seed: of the further pairs.
        run: where the alignments are kept and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    check_at_least("measured", measured, 1)
    task = rightly(model, task)
    asked, counts = named(hypotheses, task), options_of(PairCounts, pairs)
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": counts, "controls": controls}
    found = align_many(model, task, asked, site=site, engine=engine, run=run, **options)
    made = {}
    for (name, hypothesis), result in zip(asked.items(), found, strict=True):
        # The pairs of the search have the hypothesis' seed; these are others, and those seen there are left out.
        generator = torch.Generator().manual_seed(seed + 1_000_000)
        program = task.program(hypothesis.program)
        drawn = interchange_pairs(
            task, program, hypothesis.variables, measured, split="all", positions=positions, generator=generator
        )
        seen = measured_pairs(task, hypothesis, counts, positions, part="train")
        made[name] = grade(result, drawn.without(seen), engine)
    return run.show(Graded(made))


def grade(result: AlignmentResult, pairs: Pairs, engine: str = "auto") -> Grades:
    """Measure a found alignment on further pairs, by count, by difference, and by both values.

    Args:
        result: an alignment of one variable.
        pairs: as many as the cells need, of the result's variable, such as `interchange_pairs` draws; those that the
            search trained on should not be among them (`Pairs.without`).
        engine: as for `align_many`.

    Raises:
        InvalidArgumentError: the pairs exchange another variable than the result.
    """
    if pairs.variables != result.variables:
        raise InvalidArgumentError(
            f"pairs of {pairs.variables!r} is not allowed: the alignment is of {result.variables!r}"
        )
    return Grades.of(right_of(result, pairs, engine), pairs)
