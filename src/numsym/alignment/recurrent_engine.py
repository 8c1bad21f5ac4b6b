"""The search's fast route for recurrent models: it pays only for what an exchange changes.

The model is frozen, so everything before the exchange is computed once: the states of base and source where they meet,
and, in a deeper network, the base's states of the other layers. A step then exchanges in closed form,
h' = h + (h_source - h) F C F^-1, and runs the recurrence over the tokens after the exchange alone, packed; the input
half of the first layer's gates is a table with a row for each token, and only scored positions are decoded. Memory
does not depend on how long the prefixes are: what is kept of them is one state a layer.

Many alignments run as one: their parameters are stacked, and their batches pass through the model as one batch.
"""

from dataclasses import dataclass, replace
from itertools import groupby

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS, Parameters, name_of
from numsym.alignment.pairs import Pairs
from numsym.alignment.site import Site
from numsym.models import RecurrentLM
from numsym.models.recurrence import Packing, run_packed

CHUNK = 1024
"""Pairs whose prefixes are run at a time when preparing."""


@dataclass(frozen=True)
class Prepared:
    """Pairs as the engine needs them; row i of everything is pair i, and step 0 is the position of the exchange.

    Attributes:
        base, source: (batch, hidden) the states to exchange.
        others: for each other layer, (batch, hidden): below the site its state at the exchange, above it its state one
            step before.
        ids: (batch, step) the tokens consumed after the exchange.
        lengths: (batch,) how many they are.
        scored: (batch, step + 1) where a predicted token is scored.
        targets: (batch, step + 1) the tokens predicted.
        block: (batch,) the variable exchanged.
    """

    base: Float[Tensor, "batch hidden"]
    source: Float[Tensor, "batch hidden"]
    others: list[Float[Tensor, "batch hidden"]]
    ids: Int[Tensor, "batch step"]
    lengths: Int[Tensor, "batch"]
    scored: Bool[Tensor, "batch steps"]
    targets: Int[Tensor, "batch steps"]
    block: Int[Tensor, "batch"]


class RecurrentEngine:
    """Loss and correctness of stacked alignments on interchange pairs of a `RecurrentLM`.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).
    """

    name = "resumed"

    def __init__(self, model: RecurrentLM, site: Site, interventions: list[pv.Intervention]):
        self.model, self.layer, self.interventions = model, site.layer, interventions
        self._groups = [_Group(name or "", members) for name, members in _by_function(interventions)]
        self._place = {index: (group, place) for group, places in self._indices() for place, index in enumerate(places)}
        layer = model.recurrent_layers[0].rnn
        with torch.no_grad():
            self._table = nn.functional.linear(model.embed.weight, layer.weight_ih_l0, layer.bias_ih_l0)

    @staticmethod
    def supports(model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them."""
        known = all(name_of(one) is not None for one in interventions)
        return isinstance(model, RecurrentLM) and site.component == "state" and known

    def _indices(self) -> list[tuple["_Group", list[int]]]:
        order = {id(one): index for index, one in enumerate(self.interventions)}
        return [(group, [order[id(one)] for one in group.members]) for group in self._groups]

    def parameters(self) -> list[nn.Parameter]:
        """What the search learns: one stack for each parameter of each alignment function."""
        return [p for group in self._groups for p in group.learned.values()]

    def boundaries(self) -> list[Tensor]:
        """The learned boundaries, whose size is a part of the loss."""
        return [p for group in self._groups for name, p in group.learned.items() if name == "intervention_boundaries"]

    @torch.no_grad()
    def prepare(self, pairs: Pairs) -> Prepared:
        """Run every prefix once and keep the states where it ends."""
        pairs = pairs.to(self.model.device)
        parts = [self._states(pairs.rows(slice(i, i + CHUNK))) for i in range(0, len(pairs), CHUNK)]
        base, source, *others = (torch.cat(columns) for columns in zip(*parts, strict=True))
        after = pairs.base_at[:, None] + 1
        steps = int((pairs.base_mask.sum(1) - pairs.base_at).max()) - 1
        index = after + torch.arange(steps, device=after.device)
        inside = index < pairs.base_ids.shape[1]
        index = index.clamp(max=pairs.base_ids.shape[1] - 1)
        targets = pairs.base_ids.gather(1, index)
        return Prepared(
            base=base,
            source=source,
            others=others,
            ids=targets[:, :-1],
            lengths=pairs.base_mask.sum(1) - pairs.base_at - 2,
            scored=pairs.scored.gather(1, index) & inside,
            targets=targets,
            block=pairs.block,
        )

    def _states(self, pairs: Pairs) -> list[Float[Tensor, "batch hidden"]]:
        """Base and source state at the site, then the base's state of every other layer."""
        rows = torch.arange(len(pairs), device=pairs.base_at.device)
        longest = int(pairs.base_at.max()) + 1
        prefix = torch.arange(longest, device=rows.device) <= pairs.base_at[:, None]
        base = self.model.states(pairs.base_ids[:, :longest], prefix)
        source = self.model.states(pairs.source_ids, pairs.source_mask)[self.layer]
        found = [base[self.layer][rows, pairs.base_at], source[rows, pairs.source_at]]
        for layer, states in enumerate(base):
            if layer < self.layer:
                found.append(states[rows, pairs.base_at])
            elif layer > self.layer:
                before = states[rows, (pairs.base_at - 1).clamp(min=0)]
                found.append(torch.where((pairs.base_at > 0)[:, None], before, 0.0))
        return found

    def measure(
        self, prepared: list[Prepared], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch; as many for each.
            alive: indices of the alignments to run.
        """
        parts = [_take(pairs, row) for pairs, row in zip(prepared, rows, strict=True)]
        exchanged = self._exchange(parts, alive)
        batch = _join(parts)
        hidden, scored = self._resume(exchanged, batch)
        logits, targets = self.model.decoder(hidden), batch.targets[scored]
        losses = nn.functional.cross_entropy(logits.float(), targets, reduction="none")
        owner = torch.arange(len(alive), device=targets.device).repeat_interleave(len(rows[0]))
        owner = owner[:, None].expand_as(scored)[scored]
        total = losses.new_zeros(len(alive)).index_add(0, owner, losses)
        wrong = torch.zeros_like(scored)
        wrong[scored] = logits.detach().argmax(-1) != targets
        return total / torch.bincount(owner, minlength=len(alive)), list((~wrong.any(1)).split(len(rows[0])))

    def exchanged(
        self, index: int, prepared: Prepared
    ) -> tuple[Float[Tensor, "batch vocab"], list[Float[Tensor, "batch hidden"]]]:
        """After the exchange, at its position: the logits of the next token, and the states of every layer."""
        layers, states = self.model.recurrent_layers, list(prepared.others)
        states.insert(self.layer, self._exchange([prepared], [index]))
        for above in range(self.layer + 1, len(layers)):
            below = layers[above - 1].output(states[above - 1])
            states[above] = layers[above].states(below[:, None], None, states[above])[:, 0]
        return self.model.decoder(layers[-1].output(states[-1])), states

    def _exchange(self, parts: list[Prepared], alive: list[int]) -> Float[Tensor, "batch hidden"]:
        """The states after the exchange, in the order of `alive`."""
        changed: dict[int, Tensor] = {}
        for group in self._groups:
            mine = [i for i, index in enumerate(alive) if self._place[index][0] is group]
            if not mine:
                continue
            places = [self._place[alive[i]][1] for i in mine]
            base, source = (torch.stack([getattr(parts[i], side) for i in mine]) for side in ("base", "source"))
            own = next(iter(group.learned.values())).dtype
            new = group.exchange(base.to(own), source.to(own), torch.stack([parts[i].block for i in mine]), places)
            changed.update(zip(mine, new.to(base.dtype), strict=True))
        return torch.cat([changed[i] for i in range(len(alive))])

    def _resume(
        self, exchanged: Float[Tensor, "batch hidden"], batch: Prepared
    ) -> tuple[Float[Tensor, "scored out"], Bool[Tensor, "batch steps"]]:
        """What the decoder sees at the scored positions, and where these are."""
        layers, steps = self.model.recurrent_layers, torch.arange(batch.ids.shape[1], device=batch.ids.device)
        packing = Packing.of(steps < batch.lengths[:, None])
        inputs = self._table[batch.ids.flatten()[packing.tokens]]
        with torch.no_grad():
            for below, start in zip(layers[: self.layer], batch.others, strict=False):
                states = run_packed(below.rnn, inputs, start[packing.order], packing.sizes)
                above = layers[layers.index(below) + 1].rnn
                inputs = nn.functional.linear(below.output(states), above.weight_ih_l0, above.bias_ih_l0)
        site = layers[self.layer]
        states = run_packed(site.rnn, inputs, exchanged[packing.order], packing.sizes)
        # Step 0 is the exchanged state itself, which the layers above and the decoder see as well.
        first = len(states) + torch.arange(len(exchanged), device=states.device)[:, None]
        shown = torch.cat([first, packing.states], 1)
        states = torch.cat([states, exchanged])
        for above, start in zip(layers[self.layer + 1 :], batch.others[self.layer :], strict=True):
            longer = torch.arange(shown.shape[1], device=states.device) <= batch.lengths[:, None]
            x = layers[layers.index(above) - 1].output(states)[shown]
            states, shown = above.states(x, longer, start).flatten(0, 1), torch.arange(shown.numel()).view(shown.shape)
            shown = shown.to(states.device)
        return layers[-1].output(states[shown[batch.scored]]), batch.scored

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
        """Set one alignment back to a copy, in the stack and in its intervention."""
        group, place = self._place[index]
        own = dict(self.interventions[index].named_parameters())
        with torch.no_grad():
            for name, value in snapshot.items():
                group.learned[name][place].copy_(value)
                own[name].copy_(value)


class _Group:
    """The alignments of one function: their parameters as stacks, their exchange as one product."""

    def __init__(self, name: str, members: list[pv.Intervention]):
        self.members, self.function = members, ALIGNMENTS[name]
        tensors = [self.function.tensors(one) for one in members]
        stacks = {key: torch.stack([t[key].detach() for t in tensors]) for key in tensors[0]}
        self.learned = {key: nn.Parameter(stacks[key]) for key in self.function.learned}
        self.fixed = {key: stacks[key] for key in self.function.fixed}
        blocks = max(len(one.subspace_partition or [0]) for one in members)
        with torch.no_grad():
            features = self.function.maps(stacks)[0].shape[-1]
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
        """H + (h_source - h) F C F^-1 for the members at `places`."""
        index = torch.tensor(places, device=base.device)
        parameters = {name: stack[index] for name, stack in {**self.learned, **self.fixed}.items()}
        forward, inverse = self.function.maps(parameters)
        if self.function.mask is None:
            chosen = self.chosen[index[:, None], block]
        else:
            chosen = self.function.mask(parameters)[:, None]
        return base + ((source - base) @ forward * chosen) @ inverse


def _by_function(interventions: list[pv.Intervention]) -> list[tuple[str | None, list[pv.Intervention]]]:
    """The interventions by alignment function and shape: those whose parameters stack."""

    def key(one: pv.Intervention) -> tuple[str, str]:
        return name_of(one) or "", str([tuple(parameter.shape) for parameter in one.parameters()])

    ordered = sorted(interventions, key=key)
    return [(name, list(members)) for (name, _), members in groupby(ordered, key=key)]


def _take(prepared: Prepared, rows: Tensor) -> Prepared:
    rows = rows.to(prepared.base.device)
    tensors = {name: value[rows] for name, value in vars(prepared).items() if isinstance(value, Tensor)}
    return replace(prepared, others=[states[rows] for states in prepared.others], **tensors)


def _join(parts: list[Prepared]) -> Prepared:
    """The batches of several alignments as one."""
    steps = max(part.ids.shape[1] for part in parts)

    def widen(tensor: Tensor) -> Tensor:
        return nn.functional.pad(tensor, (0, steps + 1 - tensor.shape[1]))

    return Prepared(
        base=torch.cat([part.base for part in parts]),
        source=torch.cat([part.source for part in parts]),
        others=[torch.cat(columns) for columns in zip(*(part.others for part in parts), strict=True)],
        ids=torch.cat([widen(part.ids) for part in parts])[:, :-1],
        lengths=torch.cat([part.lengths for part in parts]),
        scored=torch.cat([widen(part.scored) for part in parts]),
        targets=torch.cat([widen(part.targets) for part in parts]),
        block=torch.cat([part.block for part in parts]),
    )
