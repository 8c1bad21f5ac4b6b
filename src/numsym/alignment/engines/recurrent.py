"""The search's fast route for recurrent models: it pays only for what an exchange changes.

The model is frozen, so everything before the exchange is computed once: the states of base and source where they meet,
and, in a deeper network, the base's states of the other layers. A step then exchanges in closed form,
h' = h + (h_source - h) F C F^-1, and runs the recurrence over the tokens after the exchange alone, packed; the input
half of the first layer's gates is a table with a row for each token, and only scored positions are decoded. Memory
does not depend on how long the prefixes are: what is kept of them is one state a layer.

Many alignments run as one: their parameters are stacked, and their batches pass through the model as one batch.

On an accelerator the recurrence is torch's own packed one (cuDNN's on CUDA), since there each step of Python costs more
than all that it computes. What says which tokens are where stays on the CPU, so that nothing in a step waits for the
device to say it (but for the rotation, whose matrix exponential torch scales by norms that it asks for).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.free_running import FreeRun, run_on
from numsym.alignment.engines.rows import following, moved, picked
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.pairs import Pairs
from numsym.models import RecurrentLM
from numsym.models.layers import RecurrentLayer
from numsym.models.recurrence import Packing, run_fused, run_packed
from numsym.models.site import Site
from numsym.programs import Program

CHUNK = 1024
"""Pairs whose prefixes are run at a time when preparing."""


@dataclass(frozen=True)
class Prepared:
    """Pairs as the engine needs them; row i of everything is pair i, and step 0 is the position of the exchange.

    The states are where the engine keeps them, `block` is on the model's device, the rest on the CPU.

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

    Args:
        model: frozen.
        site: "state" of a layer.
        interventions: one per alignment, each of a type in `ALIGNMENTS`.
        home: where states are kept, such as "cpu" for a model on CUDA: they then go through pinned memory of the host.
            The model's device if not given.
        fused: whether to run torch's own packed recurrence; not on a CPU, if not given.
    """

    name, order, takes = "resumed", 0, "RecurrentLM at 'state'"

    def __init__(
        self,
        model: RecurrentLM,
        site: Site,
        interventions: list[pv.Intervention],
        home: torch.device | str | None = None,
        fused: bool | None = None,
    ):
        super().__init__(interventions)
        self.model, self.layer = model, site.layer
        self.device: torch.device = next(model.parameters()).device
        self.home = self.device if home is None else torch.device(home)
        self.fused = self.device.type != "cpu" if fused is None else fused
        layer = model.recurrent_layers[0].rnn
        with torch.no_grad():
            # What the first layer takes of each token: its embedding, or the input half of the gates.
            self._table = model.embed.weight.detach()
            if not self.fused:
                self._table = nn.functional.linear(self._table, layer.weight_ih_l0, layer.bias_ih_l0)

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
        pairs, reader = pairs.to("cpu"), sources or self
        parts = [self._states(pairs.rows(slice(i, i + CHUNK)), reader) for i in range(0, len(pairs), CHUNK)]
        base, source, *others = (torch.cat(columns) for columns in zip(*parts, strict=True))
        scored, targets = following(pairs.base_ids, pairs.scored, pairs.base_at)
        return Prepared(
            base=base,
            source=source,
            others=others,
            ids=targets[:, :-1],
            lengths=pairs.base_mask.sum(1) - pairs.base_at - 2,
            scored=scored,
            targets=targets,
            block=pairs.block.to(self.device),
        )

    def _states(self, pairs: Pairs, reader: "RecurrentEngine") -> list[Float[Tensor, "batch hidden"]]:
        """Base and source state at the site, then the base's state of every other layer."""
        longest = int(pairs.base_at.max()) + 1
        prefix = torch.arange(longest) <= pairs.base_at[:, None]
        here, there = pairs.to(self.device), pairs.to(reader.device)
        rows = torch.arange(len(pairs), device=self.device)
        base = self.model.states(here.base_ids[:, :longest], prefix.to(self.device))
        source = reader.model.states(there.source_ids, there.source_mask)[reader.layer]
        given = source[torch.arange(len(pairs), device=reader.device), there.source_at]
        found = [base[self.layer][rows, here.base_at], given]
        for layer, states in enumerate(base):
            if layer < self.layer:
                found.append(states[rows, here.base_at])
            elif layer > self.layer:
                before = states[rows, (here.base_at - 1).clamp(min=0)]
                found.append(torch.where((here.base_at > 0)[:, None], before, 0.0))
        return [states.to(self.home) for states in found]

    def measure(
        self, prepared: list[Prepared], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch; as many for each.
            alive: indices of the alignments to run.
        """
        parts = [take(pairs, row, self.device) for pairs, row in zip(prepared, rows, strict=True)]
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
        return scored(self.model.decoder(hidden), moved(batch.targets[where], hidden.device), where, len(parts))

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
        pairs = pairs.to(self.device)
        prepared = take(self.prepare(pairs), torch.arange(len(pairs)), self.device)
        logits, states = self.exchanged(index, prepared)
        return run_on(self.model.step, logits, states, pairs, program, generator)

    def _resume(
        self, exchanged: Float[Tensor, "batch hidden"], batch: Prepared
    ) -> tuple[Float[Tensor, "scored out"], Bool[Tensor, "batch steps"]]:
        """What the decoder sees at the scored positions, and where these are."""
        layers, device = self.model.recurrent_layers, self.device
        packing = Packing.of(torch.arange(batch.ids.shape[1]) < batch.lengths[:, None])
        out = self._table.index_select(0, moved(batch.ids.flatten()[packing.tokens], device))
        with torch.no_grad():
            for below, start in zip(layers[: self.layer], batch.others, strict=False):
                out = self._run(below, out, start, packing)
        site = layers[self.layer]
        out = self._run(site, out, exchanged, packing)
        # Step 0 is the exchanged state itself, which the layers above and the decoder see as well.
        first = len(out) + torch.arange(len(exchanged))[:, None]
        shown = torch.cat([first, packing.states], 1)
        out = torch.cat([out, site.output(exchanged)])
        for above, start in zip(layers[self.layer + 1 :], batch.others[self.layer :], strict=True):
            packing = Packing.of(torch.arange(shown.shape[1]) <= batch.lengths[:, None])
            x = out.index_select(0, moved(shown.flatten()[packing.tokens], device))
            out, shown = self._run(above, x, start, packing), packing.states
        return out.index_select(0, moved(shown[batch.scored], device)), batch.scored

    def _run(
        self,
        layer: RecurrentLayer,
        x: Float[Tensor, "tokens in"],
        start: Float[Tensor, "batch hidden"],
        packing: Packing,
    ) -> Float[Tensor, "tokens out"]:
        """What a layer passes on at packed tokens; `x` of the first is what its table has."""
        start = start.index_select(0, moved(packing.order, start.device))
        if self.fused:
            return run_fused(layer.rnn, x, start, packing.sizes)
        if layer is not self.model.recurrent_layers[0]:
            x = nn.functional.linear(x, layer.rnn.weight_ih_l0, layer.rnn.bias_ih_l0)
        return layer.output(run_packed(layer.rnn, x, start, packing.sizes))


def _sides(parts: list[Prepared]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """What the exchange needs of each part."""
    return [part.base for part in parts], [part.source for part in parts], [part.block for part in parts]


def take(prepared: Prepared, rows: Int[Tensor, "picked"], device: torch.device | None = None) -> Prepared:
    """Some of the prepared pairs, by rows on the CPU; their states on a device, or where they are kept."""

    def some(states: Tensor) -> Tensor:
        return picked(states, rows, device or states.device)

    here = {name: getattr(prepared, name)[rows] for name in ("ids", "lengths", "scored", "targets")}
    return replace(
        prepared,
        base=some(prepared.base),
        source=some(prepared.source),
        others=[some(states) for states in prepared.others],
        block=prepared.block.index_select(0, moved(rows, prepared.block.device)),
        **here,
    )


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
