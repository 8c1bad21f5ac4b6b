"""Programs as hypotheses about one network: the IIA of each beside its controls, and where they differ."""

from typing import TYPE_CHECKING

from numsym.figures import COLOURS, drawing, spread
from numsym.studies.compare.verdicts import Tested

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from numsym.studies.compare.comparison import Comparison

MARKS = {"floor": "|", "permuted": "x", "untrained": "v", "ceiling": "s"}


def comparison(found: "Comparison") -> "Figure":
    """Left: IIA with its interval and the controls. Right: IIA of each row where the column says something else."""
    size = len(found.hypotheses)
    with drawing() as plt:
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(5.6 + 0.62 * size, 1.6 + 0.42 * size), width_ratios=(5, 1.6 + 0.62 * size)
        )
        programs = list(dict.fromkeys(one.program for one in found.hypotheses))
        for row, one in enumerate(found.hypotheses):
            _hypothesis(left, row, one, COLOURS[programs.index(one.program) % len(COLOURS)])
        for name, mark in MARKS.items():
            if any(name in one.controls for one in found.hypotheses):
                left.plot([], [], mark, color="grey", markersize=5, markerfacecolor="none", label=name)
        left.set(xlim=(-0.03, 1.03), xlabel="IIA (all tokens of the trial)", ylim=(size - 0.5, -0.5))
        left.set_yticks(range(size), [one.name for one in found.hypotheses])
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.42 * size)), ncol=4, columnspacing=1)
        _apart(right, found)
        figure.suptitle(_title(found), x=0.01, ha="left", fontsize=10)
        figure.tight_layout()
    return figure


def _title(found: "Comparison") -> str:
    said = ", ".join(f"{one.program} {one.verdict}" for one in found.verdicts)
    return f"{found.task}: {said}"


def _hypothesis(axes: "Axes", row: int, one: Tested, colour: str) -> None:
    for name, mark in MARKS.items():
        if name in one.controls:
            axes.plot(one.controls[name].value, row, mark, color="grey", markersize=5, markerfacecolor="none")
    axes.errorbar([one.iia.value], [row], xerr=spread([one.iia]), fmt="o", color=colour, markersize=5)


def _apart(axes: "Axes", found: "Comparison") -> None:
    names = [one.name for one in found.hypotheses]
    grid = [[float("nan")] * len(names) for _ in names]
    for each in found.contrasts:
        i, j = names.index(each.first), names.index(each.second)
        for row, column, iia in ((i, j, each.first_iia), (j, i, each.second_iia)):
            text = "same"
            if iia is not None:
                grid[row][column] = iia.value
                text = f"{100 * iia.value:.0f}"
            dark = iia is not None and iia.value > 0.55
            axes.text(
                column, row - 0.12, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
            )
            share = f"of {100 * each.told_apart:.0f} %"
            axes.text(
                column, row + 0.25, share, ha="center", va="center", fontsize=5.5, color="white" if dark else "grey"
            )
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set_title("IIA of the row, in %, on pairs where the column says something else", fontsize=8, loc="left")
