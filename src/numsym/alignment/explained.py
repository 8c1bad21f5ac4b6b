"""The picture of an explanation: grids of IIA by the values at base and source, and IIA by numbers of the trial."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numsym.figures import COLOURS, drawing, points
from numsym.shares import Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def explained(
    crossed: Mapping[str, Mapping[tuple[str, str], Share]], graded: Mapping[str, Mapping[int, Share]], title: str
) -> "Figure":
    """Above a grid for each variable, below IIA with 95 % intervals by each number.

    Args:
        crossed: variable -> (value at the base, value at the source) -> IIA.
        graded: what a number is -> number -> IIA.
        title: above all.
    """
    columns = max(len(crossed), len(graded))
    with drawing() as plt:
        size = (2.9 * columns, 5.4)
        figure, (above, below) = plt.subplots(2, columns, figsize=size, layout="constrained", squeeze=False)
        for axes, (name, cells) in zip(above, crossed.items(), strict=False):
            grid(axes, name, cells)
        for i, (axes, (name, shares)) in enumerate(zip(below, graded.items(), strict=False)):
            points(axes, shares, 0.0, COLOURS[0])
            axes.set(xlabel=name, ylim=(-0.03, 1.03), ylabel="IIA" if i == 0 else "")
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in (*above[len(crossed) :], *below[len(graded) :]):
            axes.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def grid(axes: "Axes", name: str, cells: Mapping[tuple[str, str], Share]) -> None:
    """IIA in percent by a variable's value at the base (down) and at the source (across)."""
    bases, sources = (list(dict.fromkeys(cell[i] for cell in cells)) for i in (0, 1))
    shares = [[cells.get((base, source)) for source in sources] for base in bases]
    values = [[float("nan") if share is None else share.value for share in row] for row in shares]
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            if share is not None:
                colour = "white" if share.value > 0.55 else "black"
                axes.text(x, y, f"{100 * share.value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(sources)), sources, fontsize=7)
    axes.set_yticks(range(len(bases)), bases, rotation=90, va="center", fontsize=7)
    axes.set(xlabel=f"{name} of the source", ylabel=f"{name} of the base")
    axes.grid(visible=False)
