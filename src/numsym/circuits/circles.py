"""Circles in the embeddings: pairs of principal components that turn at one frequency, and isolating one of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder, check_odd
from numsym.circuits.circularity import frequency_shares, principal_components
from numsym.errors import InvalidArgumentError, check_between, check_name


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
