"""Where a variable is: IIA by site and by position in the trial."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from numsym.alignment.site_sweep import SiteSweep
from numsym.figures import STYLE

FEW = 5
"""Cells with fewer pairs than this are left empty."""


def iia_map(sweep: SiteSweep) -> Figure:
    """A panel for each hypothesis: sites upwards, positions to the right, and all positions together at the right edge.

    Cells with fewer than `FEW` pairs are empty; the number at the edge is the IIA of the site in percent.
    """
    names, rows = sweep.hypotheses, len(sweep.sites)
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, panels = plt.subplots(
            1, len(names), figsize=(1.2 + 3.2 * len(names), 1.3 + 0.34 * rows), squeeze=False, layout="constrained"
        )
        for axes, name in zip(panels[0], names, strict=True):
            drawn = _panel(axes, sweep, name)
            axes.set_title(name, fontsize=9)
            axes.set_yticks(range(rows), [str(site) for site in sweep.sites] if axes is panels[0, 0] else [""] * rows)
        figure.colorbar(drawn, ax=list(panels[0]), label="IIA (all tokens of the trial)", shrink=0.9)
        figure.supxlabel("position of the exchange in the base (tokens from its start)", fontsize=9)
    return figure


def _panel(axes: Axes, sweep: SiteSweep, name: str) -> AxesImage:
    shares = sweep.map(name)
    bins = sorted({start for found in shares.values() for start in found})
    values = np.full((len(shares), len(bins) + 1), np.nan)
    for row, (site, found) in enumerate(shares.items()):
        for start, share in found.items():
            values[row, bins.index(start)] = share.value if share.n >= FEW else np.nan
        values[row, -1] = sweep.at(name)[site].iia
        light = values[row, -1] < 0.6
        axes.text(
            len(bins), row, f"{100 * values[row, -1]:.0f}", ha="center", va="center", fontsize=7,
            color="white" if light else "black",
        )  # fmt: skip
    drawn = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
    axes.axvline(len(bins) - 0.5, color="white", linewidth=2)
    every = max(1, len(bins) // 6)
    ticks = list(range(0, len(bins), every))
    axes.set_xticks([*ticks, len(bins)], [*(str(bins[i]) for i in ticks), "all"])
    return drawn
