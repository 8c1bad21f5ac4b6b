"""The exchange between two networks: read in one, written into the other, through an alignment function of each.

An `Engine` of the search (`numsym.alignment.search`), of which `align_across` makes one joint alignment.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment import Pairs, Site
from numsym.alignment.engines.recurrent import Prepared, RecurrentEngine, take
from numsym.interventions import LinearAlignmentIntervention
from numsym.tasks import Task

Direction = tuple[int, int]
"""(from, to): whose states are read, and into whose they are written; 0 or 1."""

ALL: tuple[Direction, ...] = ((0, 0), (1, 0), (0, 1), (1, 1))


@dataclass(frozen=True)
class Side:
    """One of the two networks.

    Attributes:
        name: in results, such as "gru-0".
        model: a `RecurrentLM`.
        task: what it does.
        program: the program of its task that has the variable.
        layer: whose state is exchanged.
    """

    name: str
    model: nn.Module
    task: Task
    program: str = "up_down"
    layer: int = 0

    @property
    def site(self) -> Site:
        """Where."""
        return Site("state", self.layer)


class Joint(dict[Direction, Pairs]):
    """Pairs of several directions, as many of each; its length is theirs, for the search."""

    def __len__(self) -> int:
        return min(len(pairs) for pairs in self.values())


class CrossEngine:
    """Loss and correctness of one joint alignment of two networks, over some directions: an `Engine` of the search."""

    name = "cross"

    def __init__(self, sides: tuple[Side, Side], pair: tuple[pv.Intervention, pv.Intervention]):
        self.sides, self.interventions = sides, [nn.ModuleList(pair)]
        self._k = int(pair[0].interchange_dim)
        self._engines = [RecurrentEngine(side.model, side.site, []) for side in sides]  # type: ignore[arg-type]

    def parameters(self) -> list[nn.Parameter]:
        """What is learned: both alignment functions."""
        return [p for p in self.interventions[0].parameters() if p.requires_grad]

    def boundaries(self) -> list[Tensor]:
        """No boundary is learned."""
        return []

    def prepare(self, pairs: Joint) -> dict[Direction, Prepared]:
        """The states where base and source meet, each from its own network."""
        engines = self._engines
        return {(a, b): engines[b].prepare(some, sources=engines[a]) for (a, b), some in pairs.items()}

    def exchange(self, part: Prepared, direction: Direction) -> Float[Tensor, "batch hidden"]:
        """The states after the exchange: the target's, with the source's first k coordinates."""
        giving, taking = (self.interventions[0][i] for i in direction)
        base, source = features(taking, part.base), features(giving, part.source)
        k = self._k
        return states(taking, torch.cat([source[:, :k], base[:, k:]], 1))

    def measure(
        self, prepared: list[dict[Direction, Prepared]], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """The mean loss over the directions, and which pairs are right, direction after direction."""
        losses, right = [], []
        for direction, everything in prepared[0].items():
            part = take(everything, rows[0])
            loss, correct = self._engines[direction[1]].outcome(self.exchange(part, direction), [part])
            losses.append(loss)
            right += correct
        return torch.stack(losses).mean(0), [torch.cat(right)]

    def set_temperature(self, index: int, temperature: float) -> None:
        """Nothing is soft here."""

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of what has been learned."""
        return {name: p.detach().clone() for name, p in self.interventions[0].named_parameters()}

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set both functions back to a copy."""
        with torch.no_grad():
            for name, value in self.interventions[0].named_parameters():
                value.copy_(snapshot[name])


def features(intervention: pv.Intervention, h: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
    """Map states to aligned coordinates, by the function's own definition."""
    if isinstance(intervention, LinearAlignmentIntervention):
        return intervention.featurize(h)
    return intervention.rotate_layer(h)


def states(intervention: pv.Intervention, z: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
    """The states whose `features` are z."""
    if isinstance(intervention, LinearAlignmentIntervention):
        return intervention.inverse(z)
    return z @ intervention.rotate_layer.weight.mT
