"""IIA against the steps of training, the width, or the number of coordinates, beside trial accuracy."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numsym.alignment import Share
from numsym.analyses.curves import Curve
from numsym.figures import COLOURS, STYLE


def curves(*found: Curve, accuracy: bool = True) -> Figure:
    """One panel a curve: IIA with 95 % intervals, held-out IIA hollow, its floor dotted, accuracy in grey."""
    with plt.rc_context(STYLE):
        size = (4.4 * len(found) + 0.6, 3.0 + 0.15 * max((3 * len(curve.names) for curve in found), default=0))
        figure, panels = plt.subplots(1, len(found), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for axes, curve in zip(panels[0], found, strict=True):
            _panel(axes, curve, accuracy)
        panels[0][0].set_ylabel("share of trials right")
        entries = {
            text: handle for axes in panels[0] for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        # Below the axes' labels, however many lines it takes.
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncol=3)
    return figure


def _panel(axes: Axes, curve: Curve, accuracy: bool) -> None:
    xs = [point.x for point in curve.points]
    if accuracy:
        axes.plot(xs, [p.accuracy for p in curve.points], color="grey", linewidth=1.2, label="trial accuracy")
    for i, name in enumerate(curve.names):
        colour = COLOURS[i % len(COLOURS)]
        _line(axes, xs, [p.iia[name] for p in curve.points], colour, "o-", f"IIA {name}")
        if all(name in p.held_out for p in curve.points):
            line = [p.held_out[name] for p in curve.points]
            axes.plot(
                xs, [s.value for s in line], "o--", color=colour, markerfacecolor="white", markersize=4, linewidth=0.8,
                label=f"IIA {name}, held-out",
            )  # fmt: skip
        if all("floor" in p.controls[name] for p in curve.points):
            floor = [p.controls[name]["floor"].value for p in curve.points]
            axes.plot(xs, floor, ":", color=colour, linewidth=0.9, label=f"floor {name}")
    if min(xs) == 0:
        axes.set_xscale("symlog", linthresh=max(1, min(x for x in xs if x > 0)) if len(xs) > 1 else 1)
    else:
        axes.set_xscale("log", base=2)
    ticks = xs if len(xs) <= 6 else [x for i, x in enumerate(xs) if i % 2 == 0]
    axes.set_xticks(ticks, [str(x) for x in ticks])
    axes.minorticks_off()
    axes.set(xlabel=curve.axis, ylim=(-0.03, 1.03))
    said = [f"{name} {rho:.2f}" for name, rho in curve.correlation.items() if rho is not None]
    if said and accuracy:
        title = f"rank correlation with accuracy (n = {len(xs)}): " + ", ".join(said)
        axes.set_title(title, fontsize=7.5, loc="left")


def _line(axes: Axes, xs: list[int], shares: list[Share], colour: str, style: str, label: str) -> None:
    values = [share.value for share in shares]
    below = [max(0.0, share.value - share.low) for share in shares]
    above = [max(0.0, share.high - share.value) for share in shares]
    look: Any = {"color": colour, "markersize": 4, "linewidth": 1.2, "elinewidth": 0.8}
    axes.errorbar(xs, values, yerr=[below, above], fmt=style, label=label, **look)
