"""Figures of the training of a modular adder, and of many adders ([P] figure 6), made without pyplot."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from numsym.errors import InvalidArgumentError

METRIC_STYLE = {
    "test_accuracy": ("test accuracy", "black"),
    "gradient_symmetricity": ("gradient symmetricity", "#4477aa"),
    "distance_irrelevance": ("distance irrelevance", "#ee7733"),
    "circularity": ("circularity", "#228833"),
}


def plot_training(history: Iterable[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Held-out accuracy and the three metrics by epoch: where one algorithm gives way to another.

    Raises:
        InvalidArgumentError: the history is empty.
    """
    rows = list(history)
    if not rows:
        raise InvalidArgumentError("history=[] is not allowed: there is nothing to draw")
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, (label, colour) in METRIC_STYLE.items():
        axis.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=label, color=colour)
    axis.set(xlabel="epoch", ylim=(-0.02, 1.02), title=title)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def plot_phase(rows: Iterable[Mapping[str, Any]], *, min_circularity: float = 0.95) -> Figure:
    """Gradient symmetricity against distance irrelevance, one point a run, coloured by alpha ([P] figure 6).

    Args:
        rows: each with alpha, gradient_symmetricity, distance_irrelevance, circularity.
        min_circularity: runs below it are drawn as faint crosses: the metrics presuppose circles.

    Raises:
        InvalidArgumentError: there is no row.
    """
    rows = list(rows)
    if not rows:
        raise InvalidArgumentError("rows=[] is not allowed: there is no run to draw")
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    axis = figure.subplots()
    norm = Normalize(0, 1)
    scale = ScalarMappable(norm, "viridis")
    handles = []
    for circular in (False, True):
        chosen = [row for row in rows if (row["circularity"] >= min_circularity) == circular]
        if not chosen:
            continue
        axis.scatter(
            [row["distance_irrelevance"] for row in chosen],
            [row["gradient_symmetricity"] for row in chosen],
            c=[row["alpha"] for row in chosen],
            cmap=scale.cmap,
            norm=norm,
            marker="o" if circular else "x",
            alpha=1.0 if circular else 0.35,
        )
        text = f"circularity {'at least' if circular else 'below'} {min_circularity:g} ({len(chosen)} runs)"
        handles.append(Line2D([], [], linestyle="", marker="o" if circular else "x", color="0.4", label=text))
    axis.set(xlabel="distance irrelevance", ylabel="gradient symmetricity", xlim=(0, 1.02), ylim=(-0.05, 1.05))
    axis.spines[["top", "right"]].set_visible(False)
    figure.colorbar(scale, ax=axis, label="attention alpha")
    axis.legend(handles=handles, fontsize=8, frameon=False, loc="lower left")
    return figure
