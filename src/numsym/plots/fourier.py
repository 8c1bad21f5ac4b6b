"""Figures of trainings, with a panel a quantity."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def over_training(
    curves: Mapping[str, Sequence[Mapping[str, float | int]]], quantities: Mapping[str, str], *, title: str
) -> Figure:
    """Draw quantities by training step, one panel a quantity and one line a run.

    Args:
        curves: for each run its records, each with `step` and the quantities.
        quantities: key in the records -> label of the panel.
        title: of the figure.
    """
    columns = min(3, len(quantities))
    lines = math.ceil(len(quantities) / columns)
    figure = Figure(figsize=(4 * columns, 2.7 * lines + 0.9), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    styles = {"single": (0, (3, 1.5)), "multi": "solid"}
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(_system(run) for run in curves))}
    for axes, (key, label) in zip(panels, quantities.items(), strict=False):
        for run, records in curves.items():
            axes.plot(
                [record["step"] for record in records],
                [record[key] for record in records],
                color=colours[_system(run)],
                linestyle=styles.get(run.split(" ")[0], "solid"),
                linewidth=1.4,
                label=run,
            )
        axes.set_title(label, fontsize=9)
        axes.grid(alpha=0.25)
    for axes in panels[len(quantities) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(quantities) - columns) : len(quantities)]:
        axes.set_xlabel("training step")
        axes.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _system(run: str) -> str:
    """A run is named "route model, optimiser": the system is what follows the route."""
    return run.partition(" ")[2]
