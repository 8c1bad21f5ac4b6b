"""Where a search begins for two functions, each of a network of its own, that are to agree: read from the states.

What an exchange should result in is known on average: the mean state m, of the network that is written into, that has
the counterfactual's values. So, without a step through either network:

- *agreeing, means* (of rotations): in each network the directions in which its mean state moves with the variable while
  all others are held (`numsym.alignment.starts`); the second network's are turned among themselves (orthogonal
  Procrustes) so that the mean states of each value have coordinates as near to the first network's as they can be.
- *agreeing, regression*: the two functions whose exchanges x, over the pairs of all directions, have the least squared
  distance |x - m|^2 as a share of the variance of the states there: L-BFGS on the states alone, from the rotation's
  means or a LAF that changes nothing. It is the squared part of the counterfactual latent loss of Grant, Han,
  Tartaglini, Potts (2026, arXiv 2511.04638), across networks.

Both are of one kind, "agreeing", so that a search with two tries has the better of them and a random start.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.cross import Direction, features, states
from numsym.alignment.starts import Seen, class_means, classes, means_of, moving_directions
from numsym.interventions import LinearAlignmentIntervention

ROWS = 500
"""Pairs of each direction that a regression looks at, at most."""

ITERATIONS, EFFORT = 200, 10_000
"""Of L-BFGS, at most; and at most so many over the width, each of which takes its cube."""


@dataclass(frozen=True)
class Crossing:
    """Pairs of one direction: the bases' states in one network, the sources' in another or the same.

    Attributes:
        base, source: (pairs, ...) float64.
        base_values, source_values: (pairs, var) of each network's own program.
        wanted: (pairs, var) the base's after the exchange.
    """

    base: Float[Tensor, "pairs hidden"]
    source: Float[Tensor, "pairs source_hidden"]
    base_values: Int[Tensor, "pairs var"]
    source_values: Int[Tensor, "pairs source_var"]
    wanted: Int[Tensor, "pairs var"]


@dataclass(frozen=True)
class Network:
    """All states of one network that pairs show, whatever they are pairs of.

    Attributes:
        states: (states, hidden) float64.
        values: (states, var) of its program.
        exchanged: the columns of the variables that are exchanged.
        names: of the columns.
    """

    states: Float[Tensor, "states hidden"]
    values: Int[Tensor, "states var"]
    exchanged: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, place: int, crossings: Mapping[Direction, Crossing], exchanged: tuple[int, ...], names: tuple[str, ...]
    ) -> "Network":
        """The states of bases and of sources, wherever this network, 0 or 1, has them."""
        sides = [(one.base, one.base_values) for (_, into), one in crossings.items() if into == place]
        sides += [(one.source, one.source_values) for (giving, _), one in crossings.items() if giving == place]
        return cls(torch.cat([s for s, _ in sides]), torch.cat([v for _, v in sides]), exchanged, names)

    def directions(self, k: int) -> Float[Tensor, "hidden k"]:
        """Those in which its mean state moves with the exchanged variables."""
        half = len(self.states) // 2
        one, other = (slice(half), slice(half, 2 * half))
        block = torch.zeros(half, dtype=torch.long, device=self.states.device)
        sides = self.states[one], self.states[other], self.values[one], self.values[other], self.values[one]
        return moving_directions(Seen(*sides, block, (self.exchanged,), self.names), 0, k)


def joint_starts(
    pair: tuple[pv.Intervention, pv.Intervention],
    networks: tuple[Network, Network],
    crossings: Mapping[Direction, Crossing],
) -> dict[str, dict[str, Tensor]]:
    """Parameters, and buffers, of both functions by the start's name, as a `ModuleList` of the two names them."""
    begun = nn.ModuleList(deepcopy(one).double() for one in pair)
    k = int(pair[0].interchange_dim)
    found: dict[str, dict[str, Tensor]] = {}
    with torch.no_grad():
        if all(isinstance(one, pv.RotatedSpaceIntervention) for one in pair):
            for one, frame in zip(begun, agreeing(networks, k), strict=True):
                turn(one, frame)
            found["agreeing, means"] = _tensors(begun)
        else:
            for one in begun:
                if isinstance(one, LinearAlignmentIntervention):
                    one.matrix.copy_(torch.eye(one.width))
                    one.scale.fill_(1.0)
    fitted = regression(begun, networks, crossings)
    return found if fitted is None else found | {"agreeing, regression": _tensors(fitted)}


def agreeing(networks: tuple[Network, Network], k: int) -> tuple[Float[Tensor, "hidden k"], Float[Tensor, "other k"]]:
    """K orthonormal directions of each network in which the values' mean states have coordinates as alike as may be."""
    first, second = (one.directions(k) for one in networks)
    values = [one.values[:, list(one.exchanged)] for one in networks]
    label = classes(torch.cat(values)).split([len(one) for one in values])
    both = [value for value in label[0].unique().tolist() if bool((label[1] == value).any())]
    if not both:
        return first, second
    placed = []
    for one, own, frame in zip(networks, label, (first, second), strict=True):
        rows = torch.isin(own, torch.tensor(both, device=own.device))
        means, _ = class_means(one.states[rows], classes(own[rows, None]))
        placed.append(means @ frame)
    left, _, right = torch.linalg.svd(placed[1].mT @ placed[0])
    return first, second @ (left @ right)


def turn(rotation: pv.Intervention, frame: Float[Tensor, "hidden k"]) -> None:
    """Let a rotation's first coordinates be along some orthonormal directions."""
    base = torch.linalg.qr(frame, mode="complete").Q
    base[:, : frame.shape[1]] = frame  # QR gives them up to a sign
    weight = rotation.rotate_layer.parametrizations.weight
    weight.original.zero_()
    weight[0].base.copy_(base)


def regression(
    begun: nn.ModuleList, networks: tuple[Network, Network], crossings: Mapping[Direction, Crossing]
) -> nn.ModuleList | None:
    """The functions whose exchanges lead nearest to the counterfactuals' mean states; none where no such is known."""
    parts: list[tuple[Direction, Tensor, Tensor, Tensor, Tensor]] = []
    for (a, b), one in crossings.items():
        mean, known = means_of(networks[b].states, networks[b].values, one.wanted)
        rows = known.nonzero()[:ROWS, 0]
        if len(rows):
            spread = networks[b].states.var(0).sum().clamp(min=torch.finfo(mean.dtype).tiny)
            parts.append(((a, b), one.base[rows], one.source[rows], mean[rows], spread))
    if not parts:
        return None
    made, width = deepcopy(begun), max(len(one.states[0]) for one in networks)
    first: Any = made[0]
    k = int(first.interchange_dim)

    def distance() -> Tensor:
        total = []
        for (a, b), base, source, target, spread in parts:
            taken = torch.cat([features(made[a], source)[:, :k], features(made[b], base)[:, k:]], 1)
            total.append((states(made[b], taken) - target).square().sum(1).mean() / spread)
        return torch.stack(total).sum()

    _least(made, distance, min(ITERATIONS, EFFORT // width + 1))
    return made if bool(distance().isfinite()) else None


def _least(made: nn.ModuleList, distance: Callable[[], Tensor], iterations: int) -> None:
    """Change what is learned of some modules so that a distance is least."""
    learned = [p for p in made.parameters() if p.requires_grad]
    descent = torch.optim.LBFGS(
        learned, max_iter=iterations, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )

    def closure() -> Tensor:
        descent.zero_grad()
        off = distance()
        off.backward()
        return off

    with torch.enable_grad():
        descent.step(closure)


def _tensors(pair: nn.ModuleList) -> dict[str, Tensor]:
    """What `CrossEngine.restore` takes: what is learned, and the point that a rotation is learned from."""
    named = {**dict(pair.named_parameters()), **dict(pair.named_buffers())}
    kept = {name for name, _ in pair.named_parameters()} | {name for name in named if name.endswith("weight.0.base")}
    return {name: named[name].detach().float() for name in sorted(kept)}
