"""The replication in two figures: IIA of every cell, and IIA by count and by difference."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from numsym.figures import COLOURS, STYLE, points
from numsym.studies.replication.claims import Cell

FUNCTIONS = {"orthogonal": "DAS", "linear": "LAF", "conditional": "conditional"}


def iia_of_cells(cells: Sequence[Cell]) -> Figure:
    """A panel a network and task: each seed a dot, means as bars, what permuted sources reach as a line."""
    networks, tasks = _names(cells, "network"), _names(cells, "task")
    variables = _names(cells, "variable")
    size = (1.2 + 2.6 * len(tasks), 0.9 + 1.55 * len(networks))
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(len(networks), len(tasks), figsize=size, sharex=True, sharey=True, squeeze=False)
        for row, network in zip(panels, networks, strict=True):
            for axes, task in zip(row, tasks, strict=True):
                _cell_panel(axes, [c for c in cells if (c.network, c.task) == (network, task)], variables)
            row[0].set_ylabel(f"{network}\nIIA")
        for axes, task in zip(panels[0], tasks, strict=True):
            axes.set_title(task, fontsize=9)
        for axes in panels[-1]:
            axes.set_xticks(range(len(variables)), variables, rotation=40, ha="right")
        handles = [Line2D([], [], color=COLOURS[i], marker="o", label=f) for i, f in enumerate(FUNCTIONS.values())]
        handles.append(Line2D([], [], color="grey", marker="_", linestyle="", label="the same, permuted sources"))
        figure.legend(handles=handles, loc="lower center", ncol=4, bbox_to_anchor=(0.5, -0.04))
        figure.tight_layout()
    return figure


def _cell_panel(axes: Axes, cells: Sequence[Cell], variables: Sequence[str]) -> None:
    for cell in cells:
        if cell.function not in FUNCTIONS:  # a random subspace
            continue
        i = list(FUNCTIONS).index(cell.function)
        x = variables.index(cell.variable) + (i - 1) * 0.27
        axes.bar(x, cell.iia.value, 0.24, color=COLOURS[i], alpha=0.35)
        seeds = [one["test"]["iia"]["value"] for one in cell.alignments]
        axes.plot([x] * len(seeds), seeds, "o", color=COLOURS[i], markersize=3)
        permuted = cell.control("permuted")
        if permuted is not None:
            axes.plot(x, permuted, "_", color="grey", markersize=9)
    axes.set_ylim(0, 1.04)


def graded_iia(cells: Sequence[Cell], variable: str = "count") -> Figure:
    """A row a network: IIA of one variable by base count and by difference, the pairs of all seeds together."""
    cells = [cell for cell in cells if cell.variable == variable and cell.function == "linear"]
    networks, tasks = _names(cells, "network"), _names(cells, "task")
    with plt.rc_context(STYLE):
        size = (8.5, 0.8 + 1.9 * len(networks))
        figure, panels = plt.subplots(len(networks), 2, figsize=size, sharey=True, sharex="col", squeeze=False)
        for row, network in zip(panels, networks, strict=True):
            for cell in (cell for cell in cells if cell.network == network):
                i = tasks.index(cell.task)
                for axes, by in zip(row, ("by_base_count", "by_difference"), strict=True):
                    points(axes, cell.graded(by), (i - 1) * 0.15, COLOURS[i])
            row[0].set_ylabel(f"{network}\nIIA")
            row[0].set_ylim(-0.03, 1.03)
        panels[-1][0].set_xlabel("count of the base trial")
        panels[-1][1].set_xlabel(f"|source {variable} - base {variable}|")
        for axes in panels[-1]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles = [Line2D([], [], color=COLOURS[i], marker="o", label=task) for i, task in enumerate(tasks)]
        figure.legend(handles=handles, loc="lower center", ncol=len(tasks), bbox_to_anchor=(0.5, -0.04))
        figure.tight_layout()
    return figure


def _names(cells: Sequence[Cell], attribute: str) -> list[str]:
    return list({getattr(cell, attribute): None for cell in cells})
