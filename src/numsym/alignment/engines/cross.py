"""The exchange between two networks: read in one, written into the other, through an alignment function of each.

An `Engine` of the search (`numsym.alignment.search`), each of whose alignments is a joint one, of both networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.free_running import FreeRun
from numsym.alignment.engines.recurrent import Prepared, RecurrentEngine, take
from numsym.alignment.pairs import Pairs
from numsym.interventions import LinearAlignmentIntervention
from numsym.models.site import Site
from numsym.programs import Program
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
        program: the program of its task that has the variable; the hypothesis' own if not given.
        site: whose state is exchanged, "state" or "state:layer".
    """

    name: str
    model: nn.Module
    task: Task
    program: str | None = None
    site: str | Site = "state"

    @property
    def place(self) -> Site:
        """Where."""
        return Site.of(self.site)


class Joint(dict[Direction, Pairs]):
    """Pairs of several directions, as many of each; its length is theirs, for the search."""

    def __len__(self) -> int:
        return min((len(pairs) for pairs in self.values()), default=0)

    def with_permuted_sources(self, generator: torch.Generator) -> "Joint":
        """`Pairs.with_permuted_sources` of each direction."""
        return Joint({direction: pairs.with_permuted_sources(generator) for direction, pairs in self.items()})

    def only(self, directions: Sequence[Direction]) -> "Joint":
        """Some of the directions."""
        return Joint({direction: self[direction] for direction in directions})


class CrossEngine:
    """Loss and correctness of joint alignments of two networks, over some directions: an `Engine` of the search.

    Args:
        sides: the networks, frozen.
        pairs: for each alignment, an alignment function of each network, with as many coordinates exchanged.
    """

    name = "cross"

    def __init__(self, sides: tuple[Side, Side], pairs: Sequence[tuple[pv.Intervention, pv.Intervention]]):
        self.sides = sides
        self.interventions: list[Any] = [nn.ModuleList(pair) for pair in pairs]
        self._engines = [RecurrentEngine(side.model, side.place, []) for side in sides]  # type: ignore[arg-type]

    def parameters(self) -> list[nn.Parameter]:
        """What is learned: both alignment functions of each."""
        return [p for pair in self.interventions for p in pair.parameters() if p.requires_grad]

    def boundaries(self) -> list[Tensor]:
        """No boundary is learned."""
        return []

    def prepare(self, pairs: Joint) -> dict[Direction, Prepared]:
        """The states where base and source meet, each from its own network."""
        engines = self._engines
        return {(a, b): engines[b].prepare(some, sources=engines[a]) for (a, b), some in pairs.items()}

    def exchange(self, part: Prepared, direction: Direction, index: int = 0) -> Float[Tensor, "batch hidden"]:
        """The states after the exchange of one alignment: the target's, with the source's first k coordinates."""
        giving, taking = (self.interventions[index][i] for i in direction)
        base, source, k = features(taking, part.base), features(giving, part.source), int(taking.interchange_dim)
        return states(taking, torch.cat([source[:, :k], base[:, k:]], 1))

    def measure(
        self, prepared: list[dict[Direction, Prepared]], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For each of `alive`: the mean loss over the directions, and which pairs are right, direction by direction."""
        losses, right = [], []
        for index, directions, row in zip(alive, prepared, rows, strict=True):
            found = [self._outcome(take(every, row), direction, index) for direction, every in directions.items()]
            losses.append(torch.stack([loss for loss, _ in found]).mean())
            right.append(torch.cat([correct for _, correct in found]))
        return torch.stack(losses), right

    def _outcome(self, part: Prepared, direction: Direction, index: int) -> tuple[Tensor, Bool[Tensor, "batch"]]:
        loss, right = self._engines[direction[1]].outcome(self.exchange(part, direction, index), [part])
        return loss[0], right[0]

    def set_temperature(self, index: int, temperature: float) -> None:
        """Nothing is soft here."""

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of what has been learned for one alignment."""
        return {name: p.detach().clone() for name, p in self.interventions[index].named_parameters()}

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set both functions to parameters, and buffers, by name: a copy of before, or a start."""
        both = self.interventions[index]
        own = {**dict(both.named_parameters()), **dict(both.named_buffers())}
        with torch.no_grad():
            for name, value in snapshot.items():
                own[name].copy_(value)

    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun | None:
        """Nothing: what is measured across networks is teacher-forced."""
        return None


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
