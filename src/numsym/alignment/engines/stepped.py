"""The search's fast route for the states of linear RNNs: it pays only for what an exchange changes.

The model is frozen, so every prefix is run once: kept of a base are the states of all layers where it is exchanged, and
what was said there, which the exchange does not change. A step exchanges in closed form and runs the tokens after the
exchange alone, through the model's own cache, one by one. Many alignments run as one batch.

Beyond `cache_bytes` nothing is kept of bases: their prefixes are run again for each batch, with the same result. On
CUDA nothing in a step waits for the device, unless the model's own forward does.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from numsym._pyvene import pv
from numsym._tables import STATE_SITES
from numsym.alignment.engines.free_running import FreeRun, run_on
from numsym.alignment.engines.rows import Rows, compacted, following, moved, picked, scored_of
from numsym.alignment.engines.stacked import StackedAlignments, tallied
from numsym.alignment.engines.store import CACHE_BYTES, Store
from numsym.alignment.pairs import Pairs
from numsym.models.site import Site
from numsym.models.stepping import States, Steps, cut, joined
from numsym.programs import Program

CHUNK = 512
"""Rows whose prefixes are run at a time."""


@dataclass(frozen=True, eq=False)
class Prepared(Rows):
    """Pairs as the engine needs them, row i of everything for pair i.

    Attributes:
        source: (batch, hidden) what is put in, on the model's device.
        kept: of the bases; None where they are run again for each batch.
    """

    source: Float[Tensor, "batch hidden"]
    kept: "Base | None" = None

    by_row: ClassVar[tuple[str, ...]] = (*Rows.by_row, "source")

    def rows(self, rows: Int[Tensor, "picked"]) -> "Prepared":
        """Some of the pairs, without what is kept."""
        return replace(super().rows(rows), kept=None)


@dataclass(frozen=True, eq=False)
class Base:
    """What prefixes of bases leave.

    Attributes:
        states: of every layer, after the token at the exchange.
        loss, wrong: (batch,) of the token predicted there.
    """

    states: States
    loss: Float[Tensor, "batch"]
    wrong: Bool[Tensor, "batch"]

    def rows(self, rows: Int[Tensor, "picked"], device: torch.device) -> "Base":
        """Some of them, on a device."""
        states = {layer: [picked(part, rows, device) for part in parts] for layer, parts in self.states.items()}
        return Base(states, picked(self.loss, rows, device), picked(self.wrong, rows, device))

    def to(self, home: torch.device | None) -> "Base":
        """All of it, elsewhere if told where."""
        if home is None:
            return self
        states = {layer: [part.to(home) for part in parts] for layer, parts in self.states.items()}
        return Base(states, self.loss.to(home), self.wrong.to(home))

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return sum(part.nbytes for parts in self.states.values() for part in parts)

    @staticmethod
    def joined(parts: "list[Base]") -> "Base":
        """Some after others."""
        states = {
            layer: [torch.cat(sides) for sides in zip(*(one.states[layer] for one in parts), strict=True)]
            for layer in parts[0].states
        }
        return Base(states, torch.cat([one.loss for one in parts]), torch.cat([one.wrong for one in parts]))


class SteppedEngine(StackedAlignments):
    """Loss and correctness of stacked alignments on interchange pairs of a linear RNN, at the state of one layer.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).

    Args:
        model: frozen; `numsym.models.load` has given it its states.
        site: "state" of a layer.
        interventions: one per alignment, each of a type in `ALIGNMENTS`.
        cache_bytes: how much may be kept of bases, of all pairs together.
        home: where it is kept; see `Store`.
    """

    name, order, takes = "resumed", 20, "linear RNNs of transformers at 'state'"

    def __init__(
        self,
        model: nn.Module,
        site: Site,
        interventions: list[pv.Intervention],
        cache_bytes: int = CACHE_BYTES,
        home: torch.device | str | None = None,
    ):
        super().__init__(interventions)
        self.model: Any = model
        self.layer = site.layer
        self.device: torch.device = next(model.parameters()).device
        self._store = Store[Base](cache_bytes, self.device, home)

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them; what has attention carries more than its states."""
        alone = site == Site("state", site.layer)
        if not (isinstance(model, PreTrainedModel) and hasattr(model, STATE_SITES) and alone):
            return False
        known: Any = model
        return site.layer in known.state_widths and known.token_by_token.whole and cls.stack(interventions)

    @property
    def steps(self) -> Steps:
        """The model, token by token."""
        return self.model.token_by_token

    @torch.no_grad()
    def prepare(self, pairs: Pairs) -> Prepared:
        """Run every source and every base once."""
        pairs = pairs.to("cpu")
        ids, where, at = compacted(pairs.base_mask, pairs.base_at[:, None], pairs.base_ids, pairs.scored)
        sources, ends = compacted(pairs.source_mask, pairs.source_at[:, None], pairs.source_ids)
        where, targets = following(ids, where, at[:, 0])
        chunks = torch.arange(len(ids)).split(CHUNK)
        read = [self.steps.until(sources[rows], ends[rows, 0])[1][self.layer] for rows in chunks]
        prepared = Prepared(
            source=torch.cat([joined(states) for states in read]),
            block=pairs.block.to(self.device),
            ids=ids,
            starts=at[:, 0],
            scored=where,
            targets=targets,
        )
        size = self._base(prepared.rows(torch.arange(1))).nbytes * len(ids)

        def kept(home: torch.device | None) -> Base:
            return Base.joined([self._base(prepared.rows(rows)).to(home) for rows in chunks])

        return replace(prepared, kept=self._store.take((ids, at, targets), size, kept))

    @torch.no_grad()
    def _base(self, prepared: Prepared) -> Base:
        """Run the prefixes of some bases."""
        said, states = self.steps.until(prepared.ids, prepared.starts)
        targets = moved(prepared.targets[:, 0], said.device)
        losses = nn.functional.cross_entropy(said.float(), targets, reduction="none")
        return Base(states, losses, said.argmax(-1) != targets)

    def measure(
        self, prepared: list[Prepared], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch, on the CPU; as many for each.
            alive: indices of the alignments to run.
        """
        parts = [pairs.rows(row) for pairs, row in zip(prepared, rows, strict=True)]
        bases = [
            self._base(part) if pairs.kept is None else pairs.kept.rows(row, self.device)
            for pairs, part, row in zip(prepared, parts, rows, strict=True)
        ]
        base = Base.joined(bases)
        steps = max(part.scored.shape[1] for part in parts)
        where, targets = scored_of(parts, steps)
        last = int((where * torch.arange(steps)).max())
        first = where[:, 0].nonzero()[:, 0]
        there = moved(first, self.device)
        found = [(base.loss.index_select(0, there), base.wrong.index_select(0, there), first)]

        def see(t: int, logits: Float[Tensor, "batch vocab"]) -> None:
            row = where[:, t + 1].nonzero()[:, 0]
            if not len(row):
                return
            own = logits.index_select(0, moved(row, logits.device))
            wanted = moved(targets[row, t + 1], logits.device)
            losses = nn.functional.cross_entropy(own.float(), wanted, reduction="none")
            found.append((losses, own.detach().argmax(-1) != wanted, row))

        if last:
            states = self._exchanged(base.states, parts, alive)
            ids = torch.cat([part.onwards(last, skipped=1) for part in parts])
            self.steps.onwards(moved(ids, self.device), states, see)
        losses, wrong, row = (torch.cat(side) for side in zip(*found, strict=True))
        return tallied(losses, wrong, row, len(where), len(alive))

    def _exchanged(self, states: States, parts: list[Prepared], alive: list[int]) -> States:
        """The states of all layers after the exchange in one."""
        own = list(joined(states[self.layer]).split([len(part.ids) for part in parts]))
        new = self.exchange(own, [part.source for part in parts], [part.block for part in parts], alive)
        return {**states, self.layer: cut(new, states[self.layer])}

    @torch.no_grad()
    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun:
        """What the model does by itself from the exchanged states of one alignment on."""
        prepared = self.prepare(pairs)
        said, states = self.steps.until(prepared.ids, prepared.starts)
        slots = self.steps.restored(self._exchanged(states, [prepared], [index]))
        return run_on(self.steps.step, said, slots, pairs.to(self.device), program, generator)
