"""The search's fast route for the states of linear RNNs: it pays only for what an exchange changes.

The model is frozen, so every prefix is run once: kept of a base are the states of all layers where it is exchanged, and
what was said there, which the exchange does not change. A step exchanges in closed form and runs the tokens after the
exchange alone, through the model's own cache, one by one. Many alignments run as one batch.

Beyond `cache_bytes` nothing is kept of bases: their prefixes are run again for each batch, with the same result. On
CUDA nothing in a step waits for the device, unless the model's own forward does.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from numsym._pyvene import pv
from numsym._tables import STATE_SITES
from numsym.alignment.engines.free_running import FreeRun, run_on
from numsym.alignment.engines.kept import compacted, moved, picked
from numsym.alignment.engines.stacked import StackedAlignments, tallied
from numsym.alignment.engines.suffix import CACHE_BYTES
from numsym.alignment.pairs import Pairs
from numsym.models.site import Site
from numsym.models.stepping import States, Steps, cut, joined
from numsym.programs import Program

CHUNK = 512
"""Rows whose prefixes are run at a time."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Pairs as the engine needs them, row i of everything for pair i; all but `source` and `block` on the CPU.

    Attributes:
        source: (batch, hidden) what is put in.
        block: (batch,) the variable exchanged.
        ids: (batch, pos) the bases' tokens, the first real one at position 0.
        at: (batch,) the position of the exchange.
        scored: (batch, step) where a predicted token is scored; step 0 is at the exchange.
        targets: (batch, step) the tokens predicted.
        kept: of the bases; None where they are run again for each batch.
    """

    source: Float[Tensor, "batch hidden"]
    block: Int[Tensor, "batch"]
    ids: Int[Tensor, "batch pos"]
    at: Int[Tensor, "batch"]
    scored: Bool[Tensor, "batch steps"]
    targets: Int[Tensor, "batch steps"]
    kept: "Base | None" = None

    def rows(self, rows: Int[Tensor, "picked"]) -> "Prepared":
        """Some of the pairs, without what is kept."""
        there = {name: getattr(self, name) for name in ("source", "block")}
        there = {name: side.index_select(0, moved(rows, side.device)) for name, side in there.items()}
        here = {name: getattr(self, name)[rows] for name in ("ids", "at", "scored", "targets")}
        return replace(self, kept=None, **there, **here)

    def suffix(self, steps: int) -> Int[Tensor, "batch steps"]:
        """The tokens after the exchange; the last one again where a row has no more."""
        return self.ids.gather(1, (self.at[:, None] + 1 + torch.arange(steps)).clamp(max=self.ids.shape[1] - 1))


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

    def to(self, home: torch.device) -> "Base":
        """All of it, elsewhere."""
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
        cache_bytes: how much may be kept of the bases of one set of pairs.
        home: where it is kept, such as "cpu" for a model on CUDA; the model's device if not given.
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
        self.layer, self.cache_bytes = site.layer, cache_bytes
        self.device: torch.device = next(model.parameters()).device
        self.home = self.device if home is None else torch.device(home)

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
        at, ends = at[:, 0], ends[:, 0]
        after = at[:, None] + 1 + torch.arange(max(1, ids.shape[1] - int(at.min()) - 1))
        inside, after = after < ids.shape[1], after.clamp(max=ids.shape[1] - 1)
        source = torch.cat(
            [
                joined(self.steps.until(sources[rows], ends[rows])[1][self.layer])
                for rows in torch.arange(len(sources)).split(CHUNK)
            ]
        )
        prepared = Prepared(
            source=source,
            block=pairs.block.to(self.device),
            ids=ids,
            at=at,
            scored=where.gather(1, after) & inside,
            targets=ids.gather(1, after),
        )
        return replace(prepared, kept=self._keep(prepared))

    def _keep(self, prepared: Prepared) -> Base | None:
        """What is kept of the bases, if there is room."""
        if not len(prepared.at):
            return None
        one = self._base(prepared.rows(torch.arange(1))).nbytes
        if one * len(prepared.at) > self.cache_bytes:
            return None
        chunks = torch.arange(len(prepared.at)).split(CHUNK)
        return Base.joined([self._base(prepared.rows(rows)).to(self.home) for rows in chunks])

    @torch.no_grad()
    def _base(self, prepared: Prepared) -> Base:
        """Run the prefixes of some bases."""
        said, states = self.steps.until(prepared.ids, prepared.at)
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
        where, targets = (
            torch.cat([_widened(getattr(p, name), steps) for p in parts]) for name in ("scored", "targets")
        )
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
            ids = torch.cat([part.suffix(last) for part in parts])
            self.steps.onwards(moved(ids, self.device), states, see)
        losses, wrong, row = (torch.cat(side) for side in zip(*found, strict=True))
        return tallied(losses, wrong, row, len(where), len(alive))

    def _exchanged(self, states: States, parts: list[Prepared], alive: list[int]) -> States:
        """The states of all layers after the exchange in one."""
        own = list(joined(states[self.layer]).split([len(part.at) for part in parts]))
        new = self.exchange(own, [part.source for part in parts], [part.block for part in parts], alive)
        return {**states, self.layer: cut(new, states[self.layer])}

    @torch.no_grad()
    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun:
        """What the model does by itself from the exchanged states of one alignment on."""
        prepared = self.prepare(pairs)
        said, states = self.steps.until(prepared.ids, prepared.at)
        slots = self.steps.restored(self._exchanged(states, [prepared], [index]))
        return run_on(self.steps.step, said, slots, pairs.to(self.device), program, generator)


def _widened(side: Tensor, steps: int) -> Tensor:
    return nn.functional.pad(side, (0, steps - side.shape[1]))
