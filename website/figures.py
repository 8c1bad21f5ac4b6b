"""The pictures of the landing page, and of what each alignment function can express, in two dimensions.

Run: python -m website.figures [FOLDER]   writes them to docs/images.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyvene as pv
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import numsym
from numsym.figures import COLOURS, drawing
from numsym.interventions import LinearAlignmentIntervention, LowRankLinearAlignmentIntervention

DRAWN = 2500
"""Maps of each function, with random parameters."""
WORLDS = {"count and phase 40 degrees apart": (15.0, 55.0), "count and phase at a right angle": (-20.0, 70.0)}
"""Where the two variables point, in degrees."""
SOURCE = (4.0, 1.0)
"""Count and phase of the source that every base takes its count from."""


def neuron() -> Tensor:
    """One of the two coordinates, exchanged as it is."""
    keep = torch.zeros(2, 2)
    i = int(torch.randint(2, ()))
    keep[i, i] = 1.0
    return keep


def exchanged(intervention: pv.TrainableIntervention) -> Tensor:
    """The projection P of an intervention's exchange, h' = h + (s - h) P, read off from the exchange itself."""
    with torch.no_grad():
        return intervention(torch.zeros(2, 2), torch.eye(2))


def rotation() -> Tensor:
    """DAS: pyvene's rotation, one coordinate of two."""
    found = pv.RotatedSpaceIntervention(embed_dim=2)
    found.set_interchange_dim(1)
    return exchanged(found)


def laf() -> Tensor:
    """The linear alignment function of [N], one coordinate of two."""
    found = LinearAlignmentIntervention(embed_dim=2)
    found.matrix.data *= 3 * torch.rand(()) + 0.3
    found.set_interchange_dim(1)
    return exchanged(found)


def low_rank() -> Tensor:
    """The projection of rank one."""
    found = LowRankLinearAlignmentIntervention(embed_dim=2, low_rank_dimension=1)
    found.columns.data, found.rows.data = torch.randn(2, 1), torch.randn(2, 1)
    found.set_interchange_dim(1)
    return exchanged(found)


FUNCTIONS: dict[str, Callable[[], Tensor]] = {
    "single neurons": neuron,
    "DAS: a rotation": rotation,
    "LAF": laf,
    "low-rank": low_rank,
}


def maps(drawn: int = DRAWN) -> dict[str, Tensor]:
    """Function -> projections of it, at most (drawn, 2, 2); nearly singular ones are left out."""
    torch.manual_seed(0)
    # A rotation is slow to make, and all there are in two dimensions lie on a curve.
    numbers = {name: drawn // 8 if draw is rotation else drawn for name, draw in FUNCTIONS.items()}
    found = {name: torch.stack([draw() for _ in range(numbers[name])]) for name, draw in FUNCTIONS.items()}
    return {name: some[some.flatten(1).norm(dim=1) < 20] for name, some in found.items()}


def direction(vectors: Tensor) -> Tensor:
    """Angles of lines, in degrees from -90 to 90."""
    angles = torch.rad2deg(torch.atan2(vectors[..., 1], vectors[..., 0]))
    return (angles + 90) % 180 - 90


def angles(projections: Tensor) -> tuple[Tensor, Tensor]:
    """Of each projection of rank one, the direction that it writes to and the one that it leaves alone."""
    left, _, right = torch.linalg.svd(projections)
    read = left[..., :, 0]
    return direction(right[..., 0, :]), direction(torch.stack([-read[..., 1], read[..., 0]], -1))


def expressible(found: dict[str, Tensor]) -> Figure:
    """For each function, which pairs of directions its maps write to and leave alone, and the two worlds among them."""
    with drawing() as plt:
        figure, panels = plt.subplots(1, 4, figsize=(11, 3.9), sharey=True, layout="constrained")
        for axes, colour, (name, projections) in zip(panels, COLOURS, found.items(), strict=False):
            written, kept = angles(projections)
            size = 40 if name == "single neurons" else 4
            axes.scatter(written, kept, s=size, color=colour, alpha=0.5, linewidth=0, rasterized=True)
            for marker, (world, (count, phase)) in zip("o^", WORLDS.items(), strict=True):
                axes.plot(count, phase, marker, color="black", markerfacecolor="none", markersize=9, label=world)
            axes.set(title=name, xlabel="written to, degrees", xlim=(-93, 93), ylim=(-93, 93))
            axes.set(xticks=(-90, -45, 0, 45, 90), yticks=(-90, -45, 0, 45, 90), aspect="equal")
        panels[0].set_ylabel("left alone, degrees")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncol=2)
        figure.suptitle("Which directions can an exchange write to, and which leave alone?")
    return figure


def states(world: tuple[float, float], counts: Tensor, phases: Tensor) -> Tensor:
    """States that hold count and phase along the two directions of a world."""
    at = torch.deg2rad(torch.tensor(world))
    return counts[:, None] * torch.stack([at[0].cos(), at[0].sin()]) + 2 * phases[:, None] * torch.stack(
        [at[1].cos(), at[1].sin()]
    )


def best(projections: Tensor, base: Tensor, source: Tensor, wanted: Tensor) -> tuple[Tensor, float]:
    """Where the best of the maps takes the bases, and how far from what is wanted that is (root mean square)."""
    after = base + (source - base) @ projections
    error = (after - wanted).square().sum(-1).mean(-1)
    return after[error.argmin()], float(error.min().sqrt())


def asked(world: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """States with counts 1 to 5 in both phases, the source, and where its count should take them."""
    counts, phases = torch.arange(1.0, 6).repeat(2), torch.tensor([0.0, 1.0]).repeat_interleave(5)
    source = states(world, torch.tensor([SOURCE[0]]), torch.tensor([SOURCE[1]]))
    return states(world, counts, phases), source, states(world, torch.full_like(counts, SOURCE[0]), phases)


def errors(found: dict[str, Tensor], world: str) -> dict[str, float]:
    """How far the best map of each function is from what should follow in a world."""
    return {name: best(projections, *asked(WORLDS[world]))[1] for name, projections in found.items()}


def exchanges(found: dict[str, Tensor]) -> Figure:
    """In each world, what the best map of each function makes of states that take the count of one source."""
    with drawing() as plt:
        figure, panels = plt.subplots(2, 4, figsize=(11, 4.9), sharex="row", sharey="row", layout="constrained")
        for row, (world, at) in zip(panels, WORLDS.items(), strict=True):
            base, source, wanted = asked(at)
            for axes, colour, (name, projections) in zip(row, COLOURS, found.items(), strict=False):
                after, error = best(projections, base, source, wanted)
                axes.set_title(f"{name}: {'arrives' if error < 0.1 else f'off by {error:.1f}'}")
                arrows(axes, base, after, colour)
                axes.plot(*wanted.T.numpy(), "s", color="black", markerfacecolor="none", markersize=10)
                axes.plot(*source[0].tolist(), "*", color="black", markersize=12)
                axes.set(xticks=[], yticks=[], aspect="equal")
            row[0].set_ylabel(world)
        figure.suptitle("Every state takes the source's count (star) and should arrive at a square, its phase kept")
    return figure


def arrows(axes: Axes, base: Tensor, after: Tensor, colour: str) -> None:
    """From each state to where the exchange takes it."""
    axes.plot(*base.T.numpy(), "o", color="0.6", markersize=5)
    moved = np.asarray(after - base)
    axes.quiver(*base.T.numpy(), *moved.T, color=colour, angles="xy", scale_units="xy", scale=1, width=0.008, zorder=3)


def landing() -> Figure:
    """What numsym asks, and its answer about a counting GRU: an exchange in tokens, and IIA beside the controls."""
    torch.manual_seed(0)
    task = numsym.tasks.MultiObject(counts=range(1, 7), held_out=(3,))
    model = numsym.models.build(task.vocab_size, cell="gru", hidden_size=24)
    numsym.train(model, task, steps=1500)
    few = {"train": 2000, "validation": 200, "test": 500}
    found = numsym.align(model, task, alignment="linear", subspace_dim=8, search={"max_steps": 400}, pairs=few)
    assert found.held_out is not None
    shares = {"exchanged": found.test.iia, "a number never seen": found.held_out.iia, **found.controls}
    del shares["ceiling"]  # which is the end of the scale
    with drawing() as plt:
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), width_ratios=(1.15, 1), layout="constrained")
        told(left)
        names, values = [*shares], [100 * share.value for share in shares.values()]
        colours = [COLOURS[0]] * 2 + ["0.7"] * (len(names) - 2)
        right.barh(names, values, color=colours)
        for row, value in enumerate(values):
            right.text(value + 1.5, row, f"{value:.0f}", va="center")
        right.invert_yaxis()
        right.set(xlim=(0, 108), xlabel="IIA, % of trials (grey: controls)")
        right.set_title("A GRU that counts: is the count a variable?")
    return figure


def told(axes: Axes) -> None:
    """An exchange of the count, token by token."""
    axes.set(xlim=(-2.4, 10.6), ylim=(-0.6, 3.4))
    axes.axis("off")
    rows = {"source": ("BDDDD", 3), "base": ("BDDDTR", 1.6), "then it says": ("      RRRRE", 0)}
    for name, (tokens, height) in rows.items():
        axes.text(-0.7, height, name, ha="right", va="center")
        for at, token in enumerate(tokens):
            if token != " ":
                face = COLOURS[0] if (name, at) in (("source", 4), ("base", 5)) else "0.93"
                look = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": "none"}
                axes.text(at, height, token, ha="center", va="center", bbox=look, color="w" if face != "0.93" else "k")
    look = {"arrowstyle": "->", "color": COLOURS[0], "linewidth": 1.8}
    axes.annotate("", xy=(5, 2.0), xytext=(4.1, 2.65), arrowprops=look)
    axes.text(5.2, 2.5, "only its count: 4 instead of 2", color=COLOURS[0], va="center")
    axes.annotate("", xy=(6, 0.4), xytext=(5.2, 1.2), arrowprops={**look, "color": "0.5"})
    axes.set_title("Exchange one part of the state, and see what follows")


def main(folder: str = "docs/images") -> None:
    """Write the pictures."""
    found = maps()
    made = {"expressible": expressible(found), "exchanges": exchanges(found), "landing": landing()}
    for name, figure in made.items():
        figure.savefig(Path(folder) / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
