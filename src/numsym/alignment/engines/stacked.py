"""What the fast routes share: many alignments as stacks of parameters, exchanged in closed form and scored together."""

from itertools import groupby

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.free_running import FreeRun
from numsym.alignment.functions import ALIGNMENTS, Parameters, name_of
from numsym.alignment.pairs import Pairs
from numsym.programs import Program


class StackedAlignments:
    """The part of an engine that holds alignments; the engine adds the model.

    Attributes:
        interventions: one per alignment. The search learns the stacks; `restore` writes them back into these.
    """

    def __init__(self, interventions: list[pv.Intervention]):
        self.interventions = interventions
        self._groups = [_Group(name or "", members) for name, members in _by_function(interventions)]
        self._place = {index: (group, place) for group, places in self._indices() for place, index in enumerate(places)}

    @staticmethod
    def stack(interventions: list[pv.Intervention]) -> bool:
        """Whether all of them are of the alignment functions that `ALIGNMENTS` knows."""
        return all(name_of(one) is not None for one in interventions)

    def _indices(self) -> list[tuple["_Group", list[int]]]:
        order = {id(one): index for index, one in enumerate(self.interventions)}
        return [(group, [order[id(one)] for one in group.members]) for group in self._groups]

    def parameters(self) -> list[nn.Parameter]:
        """What the search learns: one stack for each parameter of each alignment function."""
        return [p for group in self._groups for p in group.learned.values()]

    def boundaries(self) -> list[Tensor]:
        """How much each learned mask takes, a part of the loss."""
        made = []
        for group in self._groups:
            if group.function.size is not None:
                made.append(group.function.size({**group.learned, **group.fixed}))
        return made

    def exchange(
        self,
        base: list[Float[Tensor, "batch hidden"]],
        source: list[Float[Tensor, "batch hidden"]],
        block: list[Int[Tensor, "batch"]],
        alive: list[int],
    ) -> Float[Tensor, "rows hidden"]:
        """The states after the exchange, one alignment's batch after the other.

        Args:
            base: for each of `alive`, the states to exchange; as many rows for each.
            source: for each of them, the states to exchange with.
            block: for each of them, the variable that each row exchanges.
            alive: indices of the alignments.
        """
        changed: dict[int, Tensor] = {}
        for group in self._groups:
            mine = [i for i, index in enumerate(alive) if self._place[index][0] is group]
            if not mine:
                continue
            places = [self._place[alive[i]][1] for i in mine]
            sides = [torch.stack([side[i] for i in mine]) for side in (base, source, block)]
            changed.update(zip(mine, group.exchange(sides[0], sides[1], sides[2], places), strict=True))
        return torch.cat([changed[i] for i in range(len(alive))])

    def set_temperature(self, index: int, temperature: float) -> None:
        """Set how soft the learned mask of one alignment is."""
        group, place = self._place[index]
        group.fixed["temperature"][place] = temperature
        self.interventions[index].set_temperature(temperature)

    def snapshot(self, index: int) -> Parameters:
        """A copy of what has been learned for one alignment."""
        group, place = self._place[index]
        return {name: stack[place].detach().clone() for name, stack in group.learned.items()}

    def restore(self, index: int, snapshot: Parameters) -> None:
        """Set one alignment to parameters, and buffers of its map, by name: in the stack and in its intervention."""
        group, place = self._place[index]
        own = group.function.tensors(self.interventions[index])
        with torch.no_grad():
            for name, value in snapshot.items():
                (group.learned if name in group.learned else group.fixed)[name][place].copy_(value)
                own[name].copy_(value)

    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun | None:
        """Nothing, unless the engine can let its model run on by itself."""
        return None


def scored(
    logits: Float[Tensor, "kept vocab"], targets: Int[Tensor, "kept"], where: Bool[Tensor, "rows steps"], stacks: int
) -> tuple[Float[Tensor, "stack"], list[Bool[Tensor, "batch"]]]:
    """For each of some alignments whose batches lie one after the other: loss, and which of its pairs are right.

    Args:
        logits: where a token is scored, row after row.
        targets: those tokens, on the device of the logits.
        where: at which steps they are; where this is on the CPU, nothing waits for that device.
        stacks: how many alignments there are, with as many rows each.

    Returns:
        The mean cross-entropy of each alignment's tokens, and for each which rows are right in all of theirs.
    """
    losses = nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    return tallied(losses, logits.detach().argmax(-1) != targets, where.nonzero()[:, 0], len(where), stacks)


def tallied(
    losses: Float[Tensor, "kept"], wrong: Bool[Tensor, "kept"], rows: Int[Tensor, "kept"], n: int, stacks: int
) -> tuple[Float[Tensor, "stack"], list[Bool[Tensor, "batch"]]]:
    """As `scored`, from the loss of each scored token and whether it is wrong, and the row of `n` that it is in."""
    size, device = n // stacks, losses.device
    owner, counts = rows // size, torch.bincount(rows // size, minlength=stacks)
    rows, owner, counts = (index.to(device, non_blocking=True) for index in (rows, owner, counts))
    total = losses.new_zeros(stacks).index_add(0, owner, losses)
    mistakes = torch.zeros(n, dtype=torch.long, device=device).index_add(0, rows, wrong.long())
    return total / counts, list((mistakes == 0).split(size))


class _Group:
    """The alignments of one function: their parameters as stacks, their exchange as one product."""

    def __init__(self, name: str, members: list[pv.Intervention]):
        self.members, self.function = members, ALIGNMENTS[name]
        self._indices: dict[tuple[int, ...], Tensor] = {}
        tensors = [self.function.tensors(one) for one in members]
        stacks = {key: torch.stack([t[key].detach() for t in tensors]) for key in tensors[0]}
        self.learned = {key: nn.Parameter(stacks[key]) for key in self.function.learned}
        self.fixed = {key: stacks[key] for key in self.function.fixed}
        blocks = max(len(one.subspace_partition or [0]) for one in members)
        features = getattr(members[0], "features", None) or int(members[0].embed_dim)
        self.chosen = stacks[next(iter(stacks))].new_zeros(len(members), blocks, features)
        for row, one in zip(self.chosen, members, strict=True):
            for block, coordinates in enumerate(one.subspace_partition or [range(int(one.interchange_dim))]):
                row[block, [c for c in coordinates if c < features]] = 1

    def exchange(
        self,
        base: Float[Tensor, "stack batch hidden"],
        source: Float[Tensor, "stack batch hidden"],
        block: Int[Tensor, "stack batch"],
        places: list[int],
    ) -> Float[Tensor, "stack batch hidden"]:
        """The exchange of the members at `places`, in the maps' own type and returned in the base's."""
        index = self._index(tuple(places), base.device)
        parameters = {name: stack[index] for name, stack in {**self.learned, **self.fixed}.items()}
        if self.function.mask is None:
            chosen = self.chosen[index[:, None], block]
        else:
            chosen = self.function.mask(parameters)[:, None]
        own = chosen.dtype
        return self.function.exchange(parameters, base.to(own), source.to(own), chosen).to(base.dtype)

    def _index(self, places: tuple[int, ...], device: torch.device) -> Int[Tensor, "picked"]:
        """Places on a device, moved there once: a step must not wait for the device."""
        if places not in self._indices:
            self._indices[places] = torch.tensor(places, device=device)
        return self._indices[places]


def _by_function(interventions: list[pv.Intervention]) -> list[tuple[str | None, list[pv.Intervention]]]:
    """The interventions by alignment function and shape: those whose parameters stack."""

    def key(one: pv.Intervention) -> tuple[str, str]:
        return name_of(one) or "", str([tuple(parameter.shape) for parameter in one.parameters()])

    ordered = sorted(interventions, key=key)
    return [(name, list(members)) for (name, _), members in groupby(ordered, key=key)]
