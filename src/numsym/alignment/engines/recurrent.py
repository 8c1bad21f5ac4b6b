"""The search's fast route for recurrent models: it pays only for what an exchange changes.

The model is frozen, so everything before the exchange is computed once: the states of base and source where they meet,
and, in a deeper network, the base's states of the other layers. A step then exchanges in closed form,
h' = h + (h_source - h) F C F^-1, and runs the recurrence over the tokens after the exchange alone, packed; the input
half of the first layer's gates is a table with a row for each token, and only scored positions are decoded. Memory
does not depend on how long the prefixes are: what is kept of them is one state a layer.

Many alignments run as one: their parameters are stacked, and their batches pass through the model as one batch.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.free_running import FreeRun, run_on
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.pairs import Pairs
from numsym.models import RecurrentLM
from numsym.models.recurrence import Packing, run_packed
from numsym.models.site import Site
from numsym.programs import Program

CHUNK = 1024
"""Pairs whose prefixes are run at a time when preparing."""


@dataclass(frozen=True)
class Prepared:
    """Pairs as the engine needs them; row i of everything is pair i, and step 0 is the position of the exchange.

    Attributes:
        base, source: (batch, hidden) the states to exchange; the source's may be those of another model.
        others: for each other layer, (batch, hidden): below the site its state at the exchange, above it its state one
            step before.
        ids: (batch, step) the tokens consumed after the exchange.
        lengths: (batch,) how many they are.
        scored: (batch, step + 1) where a predicted token is scored.
        targets: (batch, step + 1) the tokens predicted.
        block: (batch,) the variable exchanged.
    """

    base: Float[Tensor, "batch hidden"]
    source: Float[Tensor, "batch source_hidden"]
    others: list[Float[Tensor, "batch hidden"]]
    ids: Int[Tensor, "batch step"]
    lengths: Int[Tensor, "batch"]
    scored: Bool[Tensor, "batch steps"]
    targets: Int[Tensor, "batch steps"]
    block: Int[Tensor, "batch"]


class RecurrentEngine(StackedAlignments):
    """Loss and correctness of stacked alignments on interchange pairs of a `RecurrentLM`.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).
    """

    name, order, takes = "resumed", 0, "RecurrentLM at 'state'"

    def __init__(self, model: RecurrentLM, site: Site, interventions: list[pv.Intervention]):
        super().__init__(interventions)
        self.model, self.layer = model, site.layer
        layer = model.recurrent_layers[0].rnn
        with torch.no_grad():
            self._table = nn.functional.linear(model.embed.weight, layer.weight_ih_l0, layer.bias_ih_l0)

    @staticmethod
    def supports(model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them."""
        known = isinstance(model, RecurrentLM) and site == Site("state", site.layer)
        return known and StackedAlignments.stack(interventions)

    @torch.no_grad()
    def prepare(self, pairs: Pairs, sources: "RecurrentEngine | None" = None) -> Prepared:
        """Run every prefix once and keep the states where it ends.

        Args:
            pairs: where to exchange.
            sources: the engine whose model, at its site, reads the sources; this one by default. With another, the
                source states are that model's: what is made of them is the caller's, who gives it to `outcome`.
        """
        pairs = pairs.to(self.model.device)
        reader = sources or self
        parts = [self._states(pairs.rows(slice(i, i + CHUNK)), reader) for i in range(0, len(pairs), CHUNK)]
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

    def _states(self, pairs: Pairs, reader: "RecurrentEngine") -> list[Float[Tensor, "batch hidden"]]:
        """Base and source state at the site, then the base's state of every other layer."""
        rows = torch.arange(len(pairs), device=pairs.base_at.device)
        longest = int(pairs.base_at.max()) + 1
        prefix = torch.arange(longest, device=rows.device) <= pairs.base_at[:, None]
        base = self.model.states(pairs.base_ids[:, :longest], prefix)
        source = reader.model.states(pairs.source_ids, pairs.source_mask)[reader.layer]
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
        parts = [take(pairs, row) for pairs, row in zip(prepared, rows, strict=True)]
        return self.outcome(self.exchange(*_sides(parts), alive), parts)

    def outcome(
        self, exchanged: Float[Tensor, "batch hidden"], parts: list[Prepared]
    ) -> tuple[Float[Tensor, "parts"], list[Bool[Tensor, "rows"]]]:
        """What `measure` measures, from states that were exchanged already.

        Args:
            exchanged: the states after the exchange, part after part.
            parts: prepared pairs, as many in each.
        """
        batch = _join(parts)
        hidden, where = self._resume(exchanged, batch)
        return scored(self.model.decoder(hidden), batch.targets[where], where, len(parts))

    def exchanged(
        self, index: int, prepared: Prepared
    ) -> tuple[Float[Tensor, "batch vocab"], list[Float[Tensor, "batch hidden"]]]:
        """After the exchange, at its position: the logits of the next token, and the states of every layer."""
        layers, states = self.model.recurrent_layers, list(prepared.others)
        states.insert(self.layer, self.exchange(*_sides([prepared]), [index]))
        for above in range(self.layer + 1, len(layers)):
            below = layers[above - 1].output(states[above - 1])
            states[above] = layers[above].states(below[:, None], None, states[above])[:, 0]
        return self.model.decoder(layers[-1].output(states[-1])), states

    @torch.no_grad()
    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun:
        """What the model does by itself from the exchanged states of one alignment on."""
        pairs = pairs.to(self.model.device)
        logits, states = self.exchanged(index, self.prepare(pairs))
        return run_on(self.model.step, logits, states, pairs, program, generator)

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


def _sides(parts: list[Prepared]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """What the exchange needs of each part."""
    return [part.base for part in parts], [part.source for part in parts], [part.block for part in parts]


def take(prepared: Prepared, rows: Tensor) -> Prepared:
    """Some of the prepared pairs."""
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
