"""How far exchanged states lie from the states that the model ever has ([D]: Grant, Han, Tartaglini, Potts 2026).

An exchange may give a state that no input leads to, and what the model makes of that state says little of what it does
by itself: arXiv 2511.04638, ICLR 2026. Two measures, each beside the same of natural states:

- the earth mover's distance of [D] between two clouds of states (`earth_movers`);
- how far a state lies from its nearest natural one, and the share of states that lie farther from every natural state
  than natural ones do from each other (`nearest`, `Divergence.beyond`).

The first asks whether the exchanged states are distributed as natural ones are. It standardises each cloud by itself,
so that an edit which only makes states longer is invisible to it; and it is large where an exchange leads to more of
one value than trials do, which is no fault of a map. The second asks whether each exchanged state is one that could be:
it is what verdicts go by.
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from numsym.shares import Share

SAMPLES = 5000
"""States of each kind, at most ([D])."""

BLUR = 0.05
"""Of the earth mover's distance, in standard deviations ([D])."""

SCALING = 0.5
"""By this the blur shrinks from one step to the next, from the size of the clouds down to `BLUR`."""

APART = 0.99
"""Of the distinct natural states so many have another one within the limit beyond which a state is called far."""

AWAY = 1.0
"""By so much farther than natural ones may exchanged states be from the nearest natural one, half of them, unless told
otherwise: as far as natural states are from their mean. What is farther lies outside of all that the model has."""

SAME = 1e-3
"""States closer than this, in standard deviations, are one: rounding makes no second state."""


@dataclass(frozen=True)
class Divergence:
    """Exchanged states against natural ones.

    Attributes:
        earth_movers, natural_earth_movers: the distance of [D] between exchanged and natural states, and between two
            halves of the natural ones.
        nearest, natural_nearest: the median distance of an exchanged state from the nearest natural one, and of natural
            ones from the nearest of another half of them. The unit is how far natural states lie from their mean:
            states are standardised by the natural ones and divided by the root of the width.
        limit: the distance within which 99 % of distinct natural states have another.
        beyond, natural_beyond: the share of exchanged states that lie farther than that from every natural state, and
            of natural states that lie so far from all of another half of them.
    """

    earth_movers: float
    natural_earth_movers: float
    nearest: float
    natural_nearest: float
    limit: float
    beyond: Share
    natural_beyond: Share

    @classmethod
    def of(
        cls,
        exchanged: Float[Tensor, "exchanged hidden"],
        natural: Float[Tensor, "natural hidden"],
        samples: int = SAMPLES,
        generator: torch.Generator | None = None,
    ) -> "Divergence":
        """Measure them.

        Args:
            exchanged: states after an exchange.
            natural: states that the model has by itself at the same site; at least four.
            samples: of each, at most.
            generator: which natural states make up which half; a fresh one seeded 0 if not given.
        """
        generator = generator or torch.Generator().manual_seed(0)
        order = torch.randperm(len(natural), generator=generator).to(natural.device)
        one, other = (half[:samples].double() for half in natural[order].chunk(2))
        n = min(len(exchanged), len(one), len(other))
        moved = exchanged[:samples].double()
        mean, std = _scale(torch.cat([one, other]))
        one, other, moved_there = ((states - mean) / std / sqrt(one.shape[1]) for states in (one, other, moved))
        distinct = one[_distinct(one)]
        limit = float(nearest(distinct, distinct, others=True).quantile(APART)) if len(distinct) > 1 else 0.0
        found, own = nearest(moved_there, one), nearest(other, one)
        # A state that differs from a natural one by rounding alone is not far from it, however close these lie.
        limit = max(limit, SAME)
        return cls(
            earth_movers=earth_movers(standardised(moved[:n]), standardised(one[:n])),
            natural_earth_movers=earth_movers(standardised(other[:n]), standardised(one[:n])),
            nearest=float(found.median()),
            natural_nearest=float(own.median()),
            limit=limit,
            beyond=Share.of(found > limit),
            natural_beyond=Share.of(own > limit),
        )

    def near(self, away: float | int = AWAY) -> bool:
        """Whether half of the exchanged states lie no more than `away` farther from natural states than these do."""
        return self.nearest <= self.natural_nearest + away

    def row(self) -> dict[str, Any]:
        """Each number beside that of natural states, for a table."""
        return {
            "nearest": self.nearest,
            "natural nearest": self.natural_nearest,
            "far": self.beyond,
            "natural far": self.natural_beyond,
            "earth mover's": self.earth_movers,
            "natural earth mover's": self.natural_earth_movers,
        }

    def __str__(self) -> str:
        return (
            f"{100 * self.beyond.value:.0f} % of the exchanged states lie farther from every natural state than "
            f"natural ones do from each other (of natural: {100 * self.natural_beyond.value:.0f} %), half of them "
            f"by {self.nearest:.2g} or more of the natural states' distance from their mean (natural: "
            f"{self.natural_nearest:.2g})"
        )


def _scale(states: Float[Tensor, "n hidden"]) -> tuple[Float[Tensor, "hidden"], Float[Tensor, "hidden"]]:
    """Mean and standard deviation of each feature; 1 where it does not vary.

    A feature that varies by less than a ten-thousandth of the widest is not blown up: its variation is rounding.
    """
    std = states.std(0)
    return states.mean(0), torch.where(std > 1e-4 * std.max(), std, 1.0)


def standardised(states: Float[Tensor, "n hidden"]) -> Float[Tensor, "n hidden"]:
    """By their own mean and deviation, divided by the root of the width: the mean squared length is about 1."""
    mean, std = _scale(states)
    return (states - mean) / std / sqrt(states.shape[1])


def nearest(
    states: Float[Tensor, "n hidden"], natural: Float[Tensor, "natural hidden"], *, others: bool = False
) -> Float[Tensor, "n"]:
    """The Euclidean distance of each state from the nearest of `natural`; of the `others`, where both are the same."""
    found = []
    for start in range(0, len(states), 1000):
        distances = torch.cdist(states[start : start + 1000], natural)
        if others:
            rows = torch.arange(len(distances), device=states.device)
            distances[rows, start + rows] = torch.inf
        found.append(distances.amin(1))
    return torch.cat(found)


def _distinct(states: Float[Tensor, "n hidden"]) -> Bool[Tensor, "n"]:
    """The first of each set of states that lie closer than `SAME` to one before them."""
    first = torch.ones(len(states), dtype=torch.bool, device=states.device)
    for start in range(0, len(states), 1000):
        close = torch.cdist(states[start : start + 1000], states) < SAME
        first[start : start + 1000] = ~close.tril(start - 1).any(1)
    return first


def earth_movers(
    x: Float[Tensor, "n hidden"], y: Float[Tensor, "m hidden"], *, blur: float = BLUR, scaling: float = SCALING
) -> float:
    """The debiased Sinkhorn divergence between two clouds of points, of cost |x - y|^2 / 2.

    At a small blur it is half the squared Wasserstein distance. Feydy et al. 2019 (AISTATS): symmetric Sinkhorn steps
    while the temperature blur^2 falls from the squared size of the clouds, then the difference of the potentials
    between the clouds and within each.

    Args:
        x: points of the one.
        y: points of the other.
        blur: the last temperature's root, in the points' units.
        scaling: the factor from one blur to the next.
    """
    costs = [torch.cdist(a, b).square() / 2 for a, b in ((x, y), (y, x), (x, x), (y, y))]
    ends = torch.cat([x, y])
    size = float((ends.amax(0) - ends.amin(0)).norm()) or blur
    steps = max(1, -int(log(blur / size) / log(1 / scaling)) + 1)
    temperatures = [size**2, *(max(blur, size * exp(i * log(scaling))) ** 2 for i in range(steps + 1)), blur**2]

    def softened(temperature: float, cost: Tensor, potential: Tensor) -> Tensor:
        weights = potential / temperature - log(len(potential))
        return -temperature * torch.logsumexp(weights - cost / temperature, 1)

    # For each cost: the potential at its rows, which is made from that at its columns.
    columns = (1, 0, 2, 3)
    found = [softened(temperatures[0], cost, torch.zeros_like(cost[0])) for cost in costs]
    for temperature in temperatures:
        made = [softened(temperature, cost, found[i]) for cost, i in zip(costs, columns, strict=True)]
        found = [(old + new) / 2 for old, new in zip(found, made, strict=True)]
    at_x, at_y, own_x, own_y = (
        softened(temperatures[-1], cost, found[i]) for cost, i in zip(costs, columns, strict=True)
    )
    return float((at_x - own_x).mean() + (at_y - own_y).mean())
