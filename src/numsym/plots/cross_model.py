"""A variable exchanged between networks: IIA of each direction beside its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from numsym.figures import COLOURS, STYLE

MARKS = {"floor": "|", "permuted": "x", "untrained": "v"}


def across(results: Sequence[Mapping[str, Any]]) -> Figure:
    """One row a direction, from the plain values of each `CrossResult`; directions within one network are hollow."""
    rows = [(result, direction) for result in results for direction in result["iia"]]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.8, 1.3 + 0.24 * len(rows)))
        for row, (result, direction) in enumerate(rows):
            colour = COLOURS[results.index(result) % len(COLOURS)]
            share, inside = result["iia"][direction], len(set(direction.split("->"))) == 1
            spread = [[max(0.0, share["value"] - share["low"])], [max(0.0, share["high"] - share["value"])]]
            axes.errorbar(
                [share["value"]], [row], xerr=spread, fmt="o", color=colour, markersize=5,
                markerfacecolor="white" if inside else colour,
            )  # fmt: skip
            for control, mark in MARKS.items():
                value = result["controls"].get(control, {}).get(direction)
                if value is not None:
                    axes.plot(value["value"], row, mark, color="grey", markersize=5, markerfacecolor="none")
        for control, mark in MARKS.items():
            if any(control in result["controls"] for result in results):
                axes.plot([], [], mark, color="grey", markersize=5, markerfacecolor="none", label=control)
        axes.set_yticks(range(len(rows)), [direction.replace("->", " \N{RIGHTWARDS ARROW} ") for _, direction in rows])
        axes.set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.5, -0.5), xlabel="IIA (all tokens of the trial)")
        figure.tight_layout(rect=(0, 0, 0.84, 1))
        figure.legend(*axes.get_legend_handles_labels(), loc="center right")
    return figure
