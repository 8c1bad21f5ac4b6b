"""Graded IIA: by base count, by source count, by signed difference, and by both values."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numsym.analyses.graded import Graded
from numsym.plots.alignment import points
from numsym.plots.style import COLOURS, STYLE

FEWEST = 5
"""Pairs that a cell must have to be drawn."""


def graded_iia(found: Mapping[str, Graded]) -> Figure:
    """Above, with intervals for all alignments, by counts and difference; below, a grid of values for each."""
    columns = max(3, len(found))
    with plt.rc_context(STYLE):
        figure, (above, below) = plt.subplots(2, columns, figsize=(3.1 * columns, 5.6))
        for i, (name, one) in enumerate(found.items()):
            shift, colour = 0.25 * (i - (len(found) - 1) / 2), COLOURS[i % len(COLOURS)]
            grades = (one.measurement.by_base_count, one.measurement.by_source_count, one.by_signed_difference)
            for axes, shares in zip(above, grades, strict=False):
                points(axes, shares, shift, colour, label=name)
            _grid(figure, below[i], name, one)
        labels = ("count of the base trial", "count of the source trial", "source value - base value")
        for axes, label in zip(above, labels, strict=False):
            axes.set(xlabel=label, ylim=(-0.03, 1.03))
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        above[0].set_ylabel("IIA (all tokens of the trial)")
        for axes in (*above[3:], *below[len(found) :]):
            axes.set_axis_off()
        below[-1 if len(found) < columns else 0].legend(
            *above[0].get_legend_handles_labels(), loc="center" if len(found) < columns else "upper left"
        )
        figure.tight_layout()
    return figure


def _grid(figure: Figure, axes: plt.Axes, name: str, one: Graded) -> None:
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
