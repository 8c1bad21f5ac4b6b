"""Circles in the embeddings: pairs of principal components that turn at one frequency, and isolating one of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder, check_odd
from numsym.circuits.circularity import frequency_shares, principal_components
from numsym.errors import InvalidArgumentError, check_at_least, check_between, check_name
from numsym.figures import drawing, panels
from numsym.results import Result, beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Circle:
    """Two principal components that turn at the same frequency.

    Attributes:
        p: the modulus.
        frequency: turns of the circle while t runs over 0..p-1; in 1..(p-1)/2.
        components: the two principal components, counted from 0 by size.
        share: how much of the two (unit) components is at this frequency, the smaller of the two, in 0..1.
        variance: the share of the variance of the embeddings that the two components hold, in 0..1.
    """

    p: int
    frequency: int
    components: tuple[int, int]
    share: float
    variance: float

    @property
    def half_frequency(self) -> int:
        """The frequency whose double this is modulo p, as 1..(p-1)/2: which circle this one may accompany."""
        half = self.frequency * (self.p + 1) // 2 % self.p
        return min(half, self.p - half)

    @property
    def walk(self) -> list[int]:
        """The tokens in the order of their angle: once round the circle, in steps of one p-th of a turn."""
        return sorted(range(self.p), key=lambda t: t * self.frequency % self.p)

    def row(self) -> dict[str, Any]:
        """Its numbers, as a part of a table's row."""
        components = " ".join(map(str, self.components))
        return {"frequency": self.frequency, "components": components, "variance": self.variance}


@dataclass(frozen=True, repr=False)
class Circles(Result):
    """The circles of an embedding, with the tokens on them.

    Attributes:
        circles: the largest first.
        points: where each token stands on the two components of each circle, in units of the embedding.
    """

    circles: list[Circle]
    points: Float[Tensor, "circle p 2"] = beside()

    name: ClassVar[str] = "circles"

    @property
    def title(self) -> str:
        """What the rows are."""
        return "circles of the embeddings"

    def rows(self) -> list[dict[str, Any]]:
        """A row a circle: frequency, components, their share of the variance, and how pure the circle is."""
        return [{**circle.row(), "share": circle.share} for circle in self.circles]

    def figure(self) -> "Figure | None":
        """The tokens of each circle, written as numbers, joined in steps of one turn; `None` without a circle."""
        if not self.circles:
            return None
        with drawing() as plt:
            figure, axes = panels(plt, len(self.circles), min(3, len(self.circles)), size=3.6)
            for axis, circle, points in zip(axes, self.circles, self.points.tolist(), strict=True):
                x, y = zip(*points, strict=True)
                walk = [*circle.walk, circle.walk[0]]
                axis.plot([x[t] for t in walk], [y[t] for t in walk], color="0.85", zorder=0)
                for t in range(circle.p):
                    axis.text(x[t], y[t], str(t), ha="center", va="center", fontsize=6)
                i, j = circle.components
                reach = 1.12 * max(map(abs, x + y))
                axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel=f"component {i}", ylabel=f"component {j}")
                axis.set_aspect("equal")
                axis.set_title(f"frequency {circle.frequency}: {100 * circle.variance:.0f} % of the variance")
        return figure


def embedded_circles(model: Adder | ModularModel, *, most: int = 6) -> Circles:
    """The circles of `find_circles` and the tokens on them.

    Args:
        model: a modular adder.
        most: the largest circles that are kept.

    Raises:
        InvalidArgumentError: `most` is below 1, or p is even.
    """
    check_at_least("most", most, 1)
    adder = as_adder(model)
    circles = find_circles(adder)[:most]
    scores, sizes, _ = principal_components(adder.joint_embeddings())
    # The components are of both operands side by side: with one vocabulary, its embedding twice.
    table = scores * sizes / 2**0.5
    kept = [table[:, list(circle.components)] for circle in circles]
    return Circles(circles, torch.stack(kept) if kept else table.new_zeros(0, adder.p, 2))


def find_circles(
    model: Adder | ModularModel,
    *,
    pairing: str = "frequency",
    components: int = 20,
    min_share: float = 0.5,
) -> list[Circle]:
    """The circles of the embeddings, the largest first.

    Args:
        model: a modular adder; with separate vocabularies, a circle is one of both operands together.
        pairing: "frequency" pairs each principal component with the next one of the same main frequency, wherever it
            stands; "adjacent" pairs 0 with 1, 2 with 3, ..., as [P] did, and gives the pair the frequency of the first.
        components: how many principal components are looked at.
        min_share: a component whose main frequency holds less than this share of it is in no circle ("frequency" only).

    Raises:
        InvalidArgumentError: p is even, an unknown pairing, `components` below 2, or `min_share` outside 0..1.
    """
    adder = as_adder(model)
    check_odd(adder.p, "the frequency of a circle")
    check_name("pairing", pairing, ("frequency", "adjacent"))
    check_between("min_share", min_share, 0, 1)
    if components < 2:
        raise InvalidArgumentError(f"components={components!r} is not allowed: a circle takes at least 2")
    scores, sizes, _ = principal_components(adder.joint_embeddings())
    # Components of no size are directions of rounding errors, which may turn at any frequency.
    n = min(components, int((sizes > 1e-6 * sizes[0]).sum()))
    shares = frequency_shares(scores[:, :n])
    power = (sizes.square() / sizes.square().sum().clamp_min(torch.finfo(sizes.dtype).tiny)).tolist()
    best = shares.argmax(0).tolist()
    if pairing == "adjacent":
        pairs = [(i, i + 1) for i in range(0, n - 1, 2)]
    else:
        pairs = _same_frequency(best, shares.amax(0).tolist(), min_share)
    return [
        Circle(
            p=adder.p,
            frequency=best[i] + 1,
            components=(i, j),
            share=min(shares[best[i], i].item(), shares[best[i], j].item()),
            variance=power[i] + power[j],
        )
        for i, j in pairs
    ]


def _same_frequency(best: list[int], shares: list[float], min_share: float) -> list[tuple[int, int]]:
    waiting: dict[int, int] = {}
    pairs = []
    for i, (frequency, share) in enumerate(zip(best, shares, strict=True)):
        if share < min_share:
            continue
        if frequency in waiting:
            pairs.append((waiting.pop(frequency), i))
        else:
            waiting[frequency] = i
    return sorted(pairs)


def isolate(model: Adder | ModularModel, circle: Circle, *, by: str = "components") -> Adder:
    """The same network with one circle left in its embeddings: the mean stays, everything else is zeroed.

    Args:
        model: a modular adder.
        circle: one of `find_circles(model)`.
        by: "components" keeps its two principal components, as [P] did; "frequency" keeps everything in the
            embeddings that turns at its frequency, which no mixing of components of similar size can blur.

    Raises:
        InvalidArgumentError: an unknown `by`, or a circle of another p.
    """
    adder = as_adder(model)
    joint, part = _split(adder, circle, by)
    return adder.with_joint_embeddings(joint.mean(0) + part)


def remove(model: Adder | ModularModel, circle: Circle, *, by: str = "components") -> Adder:
    """The same network with one circle zeroed in its embeddings: everything else stays. Arguments as for `isolate`."""
    adder = as_adder(model)
    joint, part = _split(adder, circle, by)
    return adder.with_joint_embeddings(joint - part)


def _split(adder: Adder, circle: Circle, by: str) -> tuple[Tensor, Tensor]:
    """The joint embeddings, and the part of them that is the circle."""
    check_name("by", by, ("components", "frequency"))
    if circle.p != adder.p:
        raise InvalidArgumentError(f"circle is of p={circle.p}, but the model of p={adder.p}")
    joint = adder.joint_embeddings().double()
    if by == "frequency":
        return joint, at_frequency(joint, circle.frequency)
    kept = list(circle.components)
    scores, sizes, directions = principal_components(joint)
    return joint, (scores[:, kept] * sizes[kept]) @ directions[kept]


def at_frequency(table: Float[Tensor, "p n"], frequency: int) -> Float[Tensor, "p n"]:
    """The part of a table over the tokens (rows) that turns at one frequency."""
    p = table.shape[0]
    angle = torch.arange(p, device=table.device, dtype=table.dtype) * (2 * torch.pi * frequency / p)
    wave = torch.stack([angle.cos(), angle.sin()], 1)
    return wave @ (wave.T @ table) * (2 / p)
