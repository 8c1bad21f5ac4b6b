"""Figures of one modular adder, of its training and of many: [P] figures 1 to 7, made without pyplot."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from numsym.circuits import Adder, CircleFit, ModularModel, as_adder, correct_logits, find_circles
from numsym.circuits.circularity import principal_components
from numsym.errors import InvalidArgumentError
from numsym.models import ModularTransformer

FORMULA_STYLE = {
    "clock": ("Clock", "#4477aa"),
    "pizza": ("Pizza", "#ee7733"),
    "pizza_prime": ("Pizza'", "#ccbb44"),
    "accompanied_pizza": ("accompanied Pizza", "#228833"),
}
"""Label and colour of each formula, the same in every figure."""

METRIC_STYLE = {
    "test_accuracy": ("test accuracy", "black"),
    "gradient_symmetricity": ("gradient symmetricity", "#4477aa"),
    "distance_irrelevance": ("distance irrelevance", "#ee7733"),
    "circularity": ("circularity", "#228833"),
}


def plot_circles(model: Adder | ModularModel, *, most: int = 6) -> Figure:
    """The tokens on the two principal components of each circle, written as numbers, joined in steps of one turn.

    Args:
        model: a modular adder.
        most: the largest circles that are drawn.

    Raises:
        InvalidArgumentError: the embeddings have no circle, or p is even.
    """
    adder = as_adder(model)
    circles = find_circles(adder)[:most]
    if not circles:
        raise InvalidArgumentError("model has no circle in its embeddings: no two components turn at one frequency")
    scores, sizes, _ = principal_components(adder.joint_embeddings())
    # The components are of both operands side by side: with one vocabulary, its embedding twice.
    points = (scores * sizes / 2**0.5).cpu()
    figure, axes = _grid(len(circles), min(3, len(circles)), size=3.6)
    for axis, circle in zip(axes, circles, strict=False):
        i, j = circle.components
        x, y = points[:, i].tolist(), points[:, j].tolist()
        # The tokens in the order of their angle: one walk round the circle.
        walk = (torch.arange(adder.p) * circle.frequency % adder.p).argsort().tolist()
        walk.append(walk[0])
        axis.plot([x[t] for t in walk], [y[t] for t in walk], color="0.85", zorder=0)
        for t in range(adder.p):
            axis.text(x[t], y[t], str(t), ha="center", va="center", fontsize=6)
        reach = 1.12 * max(map(abs, x + y))
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel=f"component {i}", ylabel=f"component {j}")
        axis.set_aspect("equal")
        axis.set_title(f"frequency {circle.frequency}: {100 * circle.variance:.0f} % of the variance", fontsize=9)
    return figure


def plot_correct_logits(model: Adder | ModularModel) -> Figure:
    """The logit of the correct answer by distance a - b and sum a + b, both modulo p ([P] figure 3).

    Vertical stripes are a Pizza (the distance decides); a flat field is a Clock.

    Raises:
        InvalidArgumentError: p is even.
    """
    matrix = correct_logits(model).cpu().numpy()
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(matrix, origin="lower", cmap="viridis", interpolation="nearest")
    axis.set(xlabel="(a - b) mod p", ylabel="(a + b) mod p", title="logit of the correct answer")
    figure.colorbar(image, ax=axis, label="logit")
    return figure


def plot_attention(model: ModularTransformer, *, layer: int = 0) -> Figure:
    """How much each head attends from the last position to a, for every pair (a, b).

    Raises:
        InvalidArgumentError: no such layer.
    """
    weights = attention_to_first(model, layer).cpu().numpy()
    heads = len(weights)
    figure, axes = _grid(heads, min(4, heads), size=2.7)
    # A softmax weight of 0 leaves the constant part; without attention there is nothing but it.
    low = 1 - model.config.alpha if model.config.alpha > 0 else 0.0
    for head, axis in enumerate(axes[:heads]):
        image = axis.imshow(weights[head], origin="lower", cmap="magma", interpolation="nearest", vmin=low, vmax=1.0)
        axis.set(xlabel="b", ylabel="a", title=f"head {head}")
    figure.colorbar(image, ax=axes[:heads], label="weight on a", shrink=0.8)
    figure.suptitle(
        f"attention from the last position to a, layer {layer}, alpha = {model.config.alpha:g}", fontsize=10
    )
    return figure


def attention_to_first(model: ModularTransformer, layer: int = 0) -> Float[Tensor, "head p p"]:
    """The attention weight from the last position to a, by head, a and b.

    Raises:
        InvalidArgumentError: no such layer.
    """
    if not 0 <= layer < len(model.blocks):
        raise InvalidArgumentError(f"layer={layer!r} is not allowed: it must lie in 0..{len(model.blocks) - 1}")
    seen: list[Tensor] = []
    pattern = model.get_submodule(f"blocks.{layer}.attention.pattern")
    handle = pattern.register_forward_hook(lambda module, inputs, output: seen.append(output[:, :, -1, 0]))
    try:
        as_adder(model).table()
    finally:
        handle.remove()
    return torch.cat(seen).T.unflatten(1, (model.p, model.p))


def plot_fve(fits: Iterable[CircleFit]) -> Figure:
    """Bars of the logit FVE of every circle by every formula, alone (above) and by its removal (below).

    Bars below zero are cut off and marked.

    Raises:
        InvalidArgumentError: there is no fit.
    """
    fits = list(fits)
    if not fits:
        raise InvalidArgumentError("fits=[] is not allowed: there is no circle to draw")
    figure = Figure(figsize=(max(5.0, 1.3 * len(fits) + 1.5), 5.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    _bars(above, [fit.fve for fit in fits])
    _bars(below, [fit.removal for fit in fits])
    above.set_title("logits of the circle alone", fontsize=9, loc="left")
    below.set_title("difference that the circle makes", fontsize=9, loc="left")
    below.set_xticks(range(len(fits)), [f"frequency {fit.circle.frequency}" for fit in fits], fontsize=8)
    figure.supylabel("variance explained (%)", fontsize=9)
    handles, labels = above.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def _bars(axis: Axes, rows: list[dict[str, float]]) -> None:
    width = 0.8 / len(FORMULA_STYLE)
    for i, (name, (label, colour)) in enumerate(FORMULA_STYLE.items()):
        places = [n + (i - 1.5) * width for n in range(len(rows))]
        values = [100 * row[name] for row in rows]
        axis.bar(places, [max(v, 0) for v in values], width, label=label, color=colour)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.0f}" if value > 0 else "<0"
            axis.text(place, max(value, 0) + 1, text, ha="center", va="bottom", fontsize=6, color=colour)
    axis.set_ylim(0, 108)
    axis.spines[["top", "right"]].set_visible(False)


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


def _grid(n: int, columns: int, *, size: float) -> tuple[Figure, list[Axes]]:
    rows = -(-n // columns)
    figure = Figure(figsize=(size * columns + 0.3, size * rows + 0.2), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[n:]:
        axis.set_axis_off()
    return figure, axes
