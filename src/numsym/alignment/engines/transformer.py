"""The search's fast route for transformers: it pays only for what an exchange changes.

Base and source are run once. What is kept of a pair are the two values at the site, the residual stream entering the
first layer above it from the exchange on, and, for each layer above, the keys and values of the positions before. A
step exchanges in closed form, h' = h + (h_source - h) F C F^-1, and runs the layers above over the suffix alone,
packed; the last layer asks, and the head decodes, at scored positions only.

What is kept grows with the trials' length and the number of layers above. Beyond `cache_bytes` the engine keeps the
tokens instead, and runs the bases of each batch again without gradients: slower, with the same result.

Many alignments run as one: their parameters are stacked, and their batches pass through the model as one batch.
"""

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.kept import moved
from numsym.alignment.engines.resumed_transformer import COMPONENTS, Context, ResumedTransformer
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.pairs import Pairs
from numsym.models import TransformerLM
from numsym.models.site import Site

CACHE_BYTES = 2 << 30
"""What an engine keeps of bases, of all pairs together."""

CHUNK = 512
"""Pairs run at a time when preparing."""


@dataclass(frozen=True)
class Prepared:
    """Pairs as the engine needs them, row i of everything for pair i; all but `source` and `block` on the CPU.

    Attributes:
        source: (batch, site) what is put in.
        block: (batch,) the variable exchanged.
        ids: (batch, pos) the bases' tokens, the first real one at position 0.
        starts: (batch,) tokens before the exchange.
        steps: (batch,) tokens from there on that a scored one depends on.
        scored: (batch, step) where a predicted token is scored; step 0 is at the exchange.
        targets: (batch, step) the tokens predicted.
        context: what is kept of the bases; None where it is computed again for each batch.
    """

    source: Float[Tensor, "batch site"]
    block: Int[Tensor, "batch"]
    ids: Int[Tensor, "batch pos"]
    starts: Int[Tensor, "batch"]
    steps: Int[Tensor, "batch"]
    scored: Bool[Tensor, "batch steps"]
    targets: Int[Tensor, "batch steps"]
    context: Context | None = None


class TransformerEngine(StackedAlignments):
    """Loss and correctness of stacked alignments on interchange pairs of a `TransformerLM`.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).

    Args:
        model: frozen.
        site: one of `components` and its layer.
        interventions: one per alignment, each of a type in `ALIGNMENTS`.
        cache_bytes: how much may be kept of bases, of all pairs together.
    """

    name, order, takes = "resumed", 0, f"TransformerLM at {', '.join(COMPONENTS)}"
    components = COMPONENTS

    def __init__(
        self, model: TransformerLM, site: Site, interventions: list[pv.Intervention], cache_bytes: int = CACHE_BYTES
    ):
        super().__init__(interventions)
        self.model, self.cache_bytes = model, cache_bytes
        self._resumed = ResumedTransformer(model, site)
        self._kept: WeakKeyDictionary[Context, Tensor] = WeakKeyDictionary()

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them."""
        whole = site == Site(site.component, site.layer) and site.component in cls.components
        known = isinstance(model, TransformerLM) and whole
        return known and cls.stack(interventions)

    def prepare(self, pairs: Pairs) -> Prepared:
        """Run every source and every base once."""
        on_cpu = pairs.to("cpu")
        ids, where = (_moved(values, on_cpu.base_mask) for values in (on_cpu.base_ids, on_cpu.scored))
        sources = _moved(on_cpu.source_ids, on_cpu.source_mask)
        starts = on_cpu.base_at - on_cpu.base_mask.long().argmax(1)
        ends = on_cpu.source_at - on_cpu.source_mask.long().argmax(1)
        after = starts[:, None] + 1 + torch.arange(max(1, ids.shape[1] - int(starts.min()) - 1))
        inside, after = after < ids.shape[1], after.clamp(max=ids.shape[1] - 1)
        where = where.gather(1, after) & inside
        chunks = [slice(i, i + CHUNK) for i in range(0, len(pairs), CHUNK)]
        prepared = Prepared(
            source=torch.cat([self._resumed.value(sources[rows], ends[rows]) for rows in chunks]),
            block=pairs.block.to(self._resumed.device),
            ids=ids,
            starts=starts,
            steps=(where * torch.arange(1, where.shape[1] + 1)).amax(1).clamp(min=1),
            scored=where,
            targets=ids.gather(1, after),
        )
        return replace(prepared, context=self._context(prepared))

    def _context(self, prepared: Prepared) -> Context | None:
        """What is kept of the bases, if there is room. The same bases with other sources share it."""
        wanted = prepared.ids, prepared.starts, prepared.steps
        for context, ids in self._kept.items():
            if all(torch.equal(*both) for both in zip(wanted, (ids, context.starts, context.steps), strict=True)):
                return context
        used = sum(context.nbytes for context in self._kept)
        if used + self._resumed.context_bytes(prepared.starts, prepared.steps) > self.cache_bytes:
            return None
        parts = [self._resumed.context(*chunk) for chunk in zip(*(one.split(CHUNK) for one in wanted), strict=True)]
        context = Context.join(parts)
        self._kept[context] = prepared.ids
        return context

    def measure(
        self, prepared: list[Prepared], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch, on the CPU; as many for each.
            alive: indices of the alignments to run.
        """
        taken = [self._rows(pairs, row) for pairs, row in zip(prepared, rows, strict=True)]
        contexts = [context for _, context in taken]
        exchanged = self.exchange(
            [context.value for context in contexts],
            [part.source for part, _ in taken],
            [part.block for part, _ in taken],
            alive,
        )
        steps = max(part.scored.shape[1] for part, _ in taken)
        where, targets = (
            torch.cat([nn.functional.pad(side, (0, steps - side.shape[1])) for side in sides])
            for sides in zip(*((part.scored, part.targets) for part, _ in taken), strict=True)
        )
        logits = self._resumed.resume(exchanged, Context.join(contexts), where)
        return scored(logits, moved(targets[where], logits.device), where, len(alive))

    def _rows(self, pairs: Prepared, rows: Int[Tensor, "picked"]) -> tuple[Prepared, Context]:
        """Some of the pairs, and what is kept of them or computed now."""
        there = rows.to(self._resumed.device)
        on_device = {name: getattr(pairs, name)[there] for name in ("source", "block")}
        names = ("ids", "starts", "steps", "scored", "targets")
        part = replace(pairs, context=None, **on_device, **{name: getattr(pairs, name)[rows] for name in names})
        if pairs.context is not None:
            return part, pairs.context.rows(rows)
        return part, self._resumed.context(part.ids, part.starts, part.steps)


def _moved(values: Tensor, mask: Bool[Tensor, "batch pos"]) -> Tensor:
    """Each row moved so that its first real token is at 0; what padding was before it comes last."""
    first = mask.long().argmax(1)[:, None]
    return values.gather(1, (torch.arange(mask.shape[1]) + first) % mask.shape[1])
