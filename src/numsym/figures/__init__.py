"""How figures look, and the marks that several of them share. Matplotlib is imported when something is drawn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numsym.shares import Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colour-blind safe palette of Okabe and Ito (2008), without black and yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

STYLE: Any = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


@contextmanager
def drawing(**changes: Any) -> Iterator[Any]:
    """Give `matplotlib.pyplot`, in numsym's style; what was drawn is closed, so a notebook shows it once."""
    import matplotlib.pyplot as plt

    style: Any = {**STYLE, **changes}
    there = set(plt.get_fignums())
    with plt.rc_context(style):
        yield plt
    for number in set(plt.get_fignums()) - there:
        plt.close(number)


def points(
    axes: "Axes",
    shares: Mapping[int, Share],
    shift: float,
    colour: str,
    *,
    hollow: bool = False,
    label: str | None = None,
) -> None:
    """Shares by group as points with their intervals."""
    axes.errorbar(
        [x + shift for x in shares],
        [share.value for share in shares.values()],
        yerr=spread(shares.values()),
        fmt="o",
        markersize=4,
        linewidth=0.9,
        color=colour,
        markerfacecolor="white" if hollow else colour,
        label=label,
    )


def spread(shares: Any) -> list[list[float]]:
    """How far the ends of shares' intervals lie below and above them, as `errorbar` takes it."""
    return [[max(0.0, s.value - s.low) for s in shares], [max(0.0, s.high - s.value) for s in shares]]


def panels(plt: Any, n: int, columns: int, *, size: float) -> "tuple[Figure, list[Axes]]":
    """A figure of `n` square panels in rows of `columns`; what is left over of the last row is empty."""
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(size * columns + 0.3, size * rows + 0.2), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[n:]:
        axes.set_axis_off()
    return figure, list(grid.flat[:n])
