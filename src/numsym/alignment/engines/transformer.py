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
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.resumed_transformer import COMPONENTS, Context, ResumedTransformer
from numsym.alignment.engines.rows import Rows, compacted, following, moved, scored_of
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.engines.store import CACHE_BYTES, Store
from numsym.alignment.pairs import Pairs
from numsym.models import TransformerLM
from numsym.models.site import Site

CHUNK = 512
"""Pairs run at a time when preparing."""


@dataclass(frozen=True, eq=False)
class Prepared(Rows):
    """Pairs as the engine needs them, row i of everything for pair i.

    Attributes:
        source: (batch, site) what is put in, on the model's device.
        steps: (batch,) tokens from the exchange on that a scored one depends on.
        context: what is kept of the bases; None where it is computed again for each batch.
    """

    source: Float[Tensor, "batch site"]
    steps: Int[Tensor, "batch"]
    context: Context | None = None

    by_row: ClassVar[tuple[str, ...]] = (*Rows.by_row, "source", "steps")


class TransformerEngine(StackedAlignments):
    """Loss and correctness of stacked alignments on interchange pairs of a `TransformerLM`.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).

    Args:
        model: frozen.
        site: one of `components` and its layer.
        interventions: one per alignment, each of a type in `ALIGNMENTS`.
        cache_bytes: how much may be kept of bases, of all pairs together.
        home: where it is kept; see `Store`.
    """

    name, order, takes = "resumed", 0, f"TransformerLM at {', '.join(COMPONENTS)}"
    components = COMPONENTS

    def __init__(
        self,
        model: TransformerLM,
        site: Site,
        interventions: list[pv.Intervention],
        cache_bytes: int = CACHE_BYTES,
        home: torch.device | str | None = None,
    ):
        super().__init__(interventions)
        self.model, self._resumed = model, ResumedTransformer(model, site)
        self._store = Store[Context](cache_bytes, self._resumed.device, home)

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them."""
        whole = site == Site(site.component, site.layer) and site.component in cls.components
        known = isinstance(model, TransformerLM) and whole
        return known and cls.stack(interventions)

    def prepare(self, pairs: Pairs) -> Prepared:
        """Run every source and every base once."""
        pairs = pairs.to("cpu")
        ids, where, at = compacted(pairs.base_mask, pairs.base_at[:, None], pairs.base_ids, pairs.scored)
        sources, ends = compacted(pairs.source_mask, pairs.source_at[:, None], pairs.source_ids)
        where, targets = following(ids, where, at[:, 0])
        chunks = torch.arange(len(ids)).split(CHUNK)
        prepared = Prepared(
            source=torch.cat([self._resumed.value(sources[rows], ends[rows, 0]) for rows in chunks]),
            block=pairs.block.to(self._resumed.device),
            ids=ids,
            starts=at[:, 0],
            steps=(where * torch.arange(1, where.shape[1] + 1)).amax(1).clamp(min=1),
            scored=where,
            targets=targets,
        )
        wanted = prepared.ids, prepared.starts, prepared.steps

        def kept(home: torch.device | None) -> Context:
            return Context.join([self._resumed.context(*(side[rows] for side in wanted)).to(home) for rows in chunks])

        size = self._resumed.context_bytes(prepared.starts, prepared.steps)
        return replace(prepared, context=self._store.take(wanted, size, kept))

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
        where, targets = scored_of([part for part, _ in taken], max(part.scored.shape[1] for part, _ in taken))
        logits = self._resumed.resume(exchanged, Context.join(contexts), where)
        return scored(logits, moved(targets[where], logits.device), where, len(alive))

    def _rows(self, pairs: Prepared, rows: Int[Tensor, "picked"]) -> tuple[Prepared, Context]:
        """Some of the pairs, and what is kept of them or computed now."""
        part = pairs.rows(rows)
        if pairs.context is not None:
            return part, pairs.context.rows(rows, self._resumed.device)
        return part, self._resumed.context(part.ids, part.starts, part.steps)
