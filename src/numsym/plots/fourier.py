"""Figures of number spectra and mod-T probes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numsym.probes.residue import ResidueResult
from numsym.probes.spectrum import Spectrum

MARKED = (2, 5, 10)
"""Periods whose frequencies are named on the spectrum: those of decimal numbers."""


def spectrum_and_kappa(spectra: Mapping[str, Spectrum], probes: Mapping[str, ResidueResult], *, title: str) -> Figure:
    """Draw the two panels of [F]: the spectrum as a heat map on the left, the kappa table on the right.

    Args:
        spectra: one a system, in the order of the rows; all over the same frequencies.
        probes: one a system, under the same names.
        title: of the figure.
    """
    names = list(spectra)
    figure = Figure(figsize=(12, 1.6 + 0.62 * len(names)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.05))
    frequency = next(iter(spectra.values())).frequency.cpu().numpy()
    step = frequency[1] - frequency[0]
    rows = np.stack([spectra[name].normalised.cpu().numpy() for name in names])
    image = left.imshow(
        np.log2(rows),
        aspect="auto",
        cmap="viridis",
        vmin=-2,
        vmax=3,
        interpolation="nearest",
        extent=(frequency[0] - step / 2, frequency[-1] + step / 2, len(names) - 0.5, -0.5),
    )
    left.set_yticks(range(len(names)), names)
    ticks = sorted({harmonic / period for period in MARKED for harmonic in range(1, period // 2 + 1)})
    left.set_xticks(ticks, [_fraction(value) for value in ticks])
    left.set_xlabel("frequency (cycles per number)")
    left.set_title("Spectrum: are there periods?", fontsize=10)
    bar = figure.colorbar(image, ax=left, pad=0.02, extend="both", ticks=range(-2, 4))
    bar.ax.set_yticklabels([f"{2.0**power:g}" for power in range(-2, 4)])
    bar.set_label("magnitude / median")
    table = [[probes[name].kappa[period] for period in probes[name].kappa] for name in names]
    _kappa_table(right, table, list(next(iter(probes.values())).kappa), names)
    return figure


def _kappa_table(axes: Axes, table: Sequence[Sequence[float]], periods: Sequence[int], names: Sequence[str]) -> None:
    values = np.array(table)
    axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-100, vmax=100)
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            colour = "white" if abs(value) > 60 else "black"
            axes.text(column, row, f"{round(value)}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(periods)), [str(period) for period in periods])
    axes.set_yticks(range(len(names)), [""] * len(names))
    axes.set_xlabel("period T")
    axes.set_title("Probe of n mod T on held-out numbers: kappa x 100", fontsize=10)


def _fraction(value: float) -> str:
    for below in (2, 5, 10):
        above = round(value * below)
        if math.isclose(value * below, above):
            return f"{above}/{below}"
    return f"{value:.2g}"


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
