"""Graded IIA: by the number of the base trial, and by how far source and base values are apart."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numsym.alignment import AlignmentResult, Share
from numsym.figures import COLOURS, STYLE


def iia_by_count(results: Sequence[AlignmentResult], names: Sequence[str]) -> Figure:
    """IIA with 95 % intervals by base count (held-out counts hollow) and by |source - base| of the variable."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
        width = 0.8 / max(1, len(results))
        for i, (result, name) in enumerate(zip(results, names, strict=True)):
            shift, colour = (i - (len(results) - 1) / 2) * width * 0.5, COLOURS[i % len(COLOURS)]
            points(left, result.test.by_base_count, shift, colour, label=name)
            if result.held_out is not None:
                points(left, result.held_out.by_base_count, shift, colour, hollow=True)
            points(right, result.test.by_difference, shift, colour)
        if any(result.held_out is not None for result in results):
            left.plot([], [], "o", color="grey", markerfacecolor="white", label="held-out count")
        left.set(xlabel="count of the base trial", ylabel="IIA (all tokens of the trial)", ylim=(-0.03, 1.03))
        right.set(xlabel="|source value - base value|")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        floor = results[0].floor
        if floor is not None:
            for axes in (left, right):
                axes.axhline(floor, color="grey", linewidth=0.8, linestyle=":", label="no intervention")
        figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncol=4, bbox_to_anchor=(0.5, -0.1))
        figure.tight_layout()
    return figure


def points(
    axes: Axes,
    shares: Mapping[int, Share],
    shift: float,
    colour: str,
    *,
    hollow: bool = False,
    label: str | None = None,
) -> None:
    """Shares by group as points with their intervals."""
    values = [share.value for share in shares.values()]
    below = [max(0.0, share.value - share.low) for share in shares.values()]
    above = [max(0.0, share.high - share.value) for share in shares.values()]
    axes.errorbar(
        [x + shift for x in shares],
        values,
        yerr=[below, above],
        fmt="o",
        markersize=4,
        linewidth=0.9,
        color=colour,
        markerfacecolor="white" if hollow else colour,
        label=label,
    )
