"""The search's fast route for decoders of transformers: it pays only for what an exchange changes.

The model is frozen, so bases and sources are run once, and those that are alike count as one. What is kept of a base
are its stream from the exchange on, below the first block that depends on the site, and for each block above the keys
and values before the exchange; what all bases begin with is kept once. A step exchanges in closed form and runs these
blocks over these tokens alone, with the model's own forward (`suffix_model`), so that no architecture has code of its
own.

Beyond `cache_bytes` the engine keeps the tokens instead, and runs the bases of each batch again without gradients:
slower, with the same result. On CUDA nothing in a step waits for the device, unless the model's own forward does.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from numsym._pyvene import pv
from numsym.alignment.engines.continued import Continued
from numsym.alignment.engines.free_running import FreeRun, generates, room, run_on
from numsym.alignment.engines.kept import Kept
from numsym.alignment.engines.rows import Rows, compacted, distinct, following, moved, scored_of
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.engines.store import CACHE_BYTES, Store
from numsym.alignment.engines.suffix_check import reason_against
from numsym.alignment.engines.suffix_model import CHUNK, CutModel
from numsym.alignment.pairs import Pairs
from numsym.models.site import Site
from numsym.programs import Program

LOG = logging.getLogger(__name__)
_TOLD: set[str] = set()


@dataclass(frozen=True, eq=False)
class Prepared(Rows):
    """Pairs as the engine needs them, row i for pair i of all but `source`.

    Attributes:
        source: (distinct, place, token, site) what is put in, of each different source once; where the maps are.
        source_row: (batch,) which of these each pair has.
        tokens: (batch, token) how many after the first exchange each is made.
        ends: (batch,) tokens up to the one after which the program goes on from what was exchanged, and that one.
        steps: (batch,) tokens from the exchange on that are run: to there, and all that a scored one depends on.
        kept: of the different bases; None where they are run again for each batch.
        kept_row: (batch,) which of these each pair has.
    """

    source: Float[Tensor, "distinct place token site"]
    source_row: Int[Tensor, "batch"]
    tokens: Int[Tensor, "batch token"]
    ends: Int[Tensor, "batch"]
    steps: Int[Tensor, "batch"]
    kept: Kept | None = None
    kept_row: Int[Tensor, "batch"] | None = None

    by_row: ClassVar[tuple[str, ...]] = (*Rows.by_row, "source_row", "tokens", "ends", "steps", "kept_row")

    def given(self, place: int) -> Float[Tensor, "vectors site"]:
        """What is put in at one of the site's places, pair after pair and token after token."""
        source = self.source[:, place]
        return source.index_select(0, moved(self.source_row, source.device)).flatten(0, 1)


class SuffixEngine(StackedAlignments):
    """Loss and correctness of stacked alignments on interchange pairs of a decoder of transformers.

    Takes what `PyveneEngine` takes and gives what it gives (tested equal).

    Args:
        model: frozen.
        site: any that holds one vector a token.
        interventions: one per alignment, each of a type in `ALIGNMENTS`.
        cache_bytes: how much may be kept of bases, of all pairs together.
        home: where it is kept; see `Store`.

    Raises:
        ModelMismatchError: the model cannot be cut at the site.
    """

    name, order, takes, at_tokens = "resumed", 50, "decoders of transformers", True

    def __init__(
        self,
        model: nn.Module,
        site: Site,
        interventions: list[pv.Intervention],
        cache_bytes: int = CACHE_BYTES,
        home: torch.device | str | None = None,
    ):
        super().__init__(interventions)
        self.model, self._cut = model, CutModel(model, site)
        self._device = next((p.device for one in interventions for p in one.parameters()), self._cut.device)
        self._store = Store[Kept](cache_bytes, self._cut.shape.stream_device, home)

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Whether this route exists for them: whether the model, run on from the site, does what it does as a whole.

        Where a decoder of transformers does not, that is logged, once.
        """
        own = type(model).__module__.startswith("numsym.")
        if own or not isinstance(model, PreTrainedModel) or not cls.stack(interventions):
            return False
        reason = reason_against(model, site)
        if reason is not None:
            told = f"{type(model).__name__} is not run on from {site}, since {reason}: a search takes pyvene"
            if told not in _TOLD:
                LOG.warning(told)
            _TOLD.add(told)
        return reason is None

    def prepare(self, pairs: Pairs) -> Prepared:
        """Run every source and every base once."""
        pairs = pairs.to("cpu")
        places = torch.cat([pairs.base_places, pairs.base_at[:, None]], 1)
        ids, where, places = compacted(pairs.base_mask, places, pairs.base_ids, pairs.scored)
        at, ends = places[:, :-1], places[:, -1] + 1
        sources, given = compacted(pairs.source_mask, pairs.source_places, pairs.source_ids)
        starts = at.amin(1)
        where, targets = following(ids, where, starts)
        first, source_row = distinct(_up_to(sources, given.amax(1) + 1), given)
        prepared = Prepared(
            source=self._cut.values(sources[first], given[first]).to(self._device),
            source_row=source_row,
            block=pairs.block.to(self._device),
            ids=ids,
            starts=starts,
            tokens=at - starts[:, None],
            ends=ends,
            steps=(where * torch.arange(1, where.shape[1] + 1)).amax(1).maximum(ends - starts),
            scored=where,
            targets=targets,
        )
        wanted, kept_row = _bases(prepared)
        kept = self._store.take(wanted, self._cut.bytes_of(*wanted), lambda home: self._cut.keep(*wanted, home=home))
        return replace(prepared, kept=kept, kept_row=kept_row)

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
        size, steps = len(rows[0]), max(int(part.steps.max()) for part in parts)
        if len(parts) == 1 and not torch.is_grad_enabled():
            size = max(1, CHUNK // (steps + int(parts[0].starts.max())))
        logits = torch.cat(
            [
                self._logits(prepared, [row[piece] for row in rows], alive, steps)
                for piece in torch.arange(len(rows[0])).split(size)
            ]
        )
        where, targets = scored_of(parts, steps)
        return scored(logits, moved(targets[where], logits.device), where, len(alive))

    def _logits(
        self, prepared: list[Prepared], rows: list[Tensor], alive: list[int], steps: int
    ) -> Float[Tensor, "kept vocab"]:
        """Where tokens are scored, the logits after the exchange, pair after pair."""
        parts = [pairs.rows(row) for pairs, row in zip(prepared, rows, strict=True)]
        return self._after(parts, alive, scored_of(parts, steps)[0])

    def _after(
        self,
        parts: list[Prepared],
        alive: list[int],
        where: Bool[Tensor, "batch steps"],
        whole: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Float[Tensor, "kept vocab"]:
        """The logits after the exchange where asked for, pair after pair; `whole` as in `CutModel.resume`."""
        bases, rows = [self._kept_of(part) for part in parts], [len(part.ids) for part in parts]

        def change(base: Float[Tensor, "rows token site"], place: int) -> Float[Tensor, "rows token site"]:
            own = base.to(self._device).split(rows)
            sides = [side.flatten(0, 1) for side in own], [part.given(place) for part in parts]
            blocks = [part.block.repeat_interleave(base.shape[1]) for part in parts]
            return self.exchange(*sides, blocks, alive).view(base.shape)

        ids, tokens = torch.cat([part.onwards(where.shape[1]) for part in parts]), torch.cat([p.tokens for p in parts])
        return self._cut.resume(bases, ids, where, change, tokens, whole)

    @torch.no_grad()
    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun | None:
        """What the model says by itself from the exchange of one alignment on: its cache holds what came before."""
        if not generates(self.model):
            return None
        prepared, found = self.prepare(pairs), []
        steps = room(self.model, int(prepared.ends.max()))
        for rows in torch.arange(len(pairs)).split(max(1, CHUNK // prepared.ids.shape[1])):
            logits, states = self._begun(prepared.rows(rows), index)
            part = pairs.rows(rows).to(self._cut.device)
            found.append(run_on(self._onward, logits, states, part, program, generator, steps))
        return FreeRun.joined(found)

    def _begun(self, part: Prepared, index: int) -> tuple[Float[Tensor, "batch vocab"], Continued]:
        """What is said where the program goes on after the exchange, and what goes on from there."""
        states = Continued(self._cut, part.ids, part.ends, part.starts)
        last = part.ends - part.starts
        where = torch.arange(int(last.max())) == last[:, None] - 1
        logits = self._after([part], [index], where, states.take)
        return logits.to(self._cut.device), states

    def _onward(self, token: Int[Tensor, "batch"], states: Continued) -> tuple[Float[Tensor, "batch vocab"], Continued]:
        return states.step(token).to(token.device), states

    def _kept_of(self, part: Prepared) -> tuple[Kept, Int[Tensor, "batch"]]:
        """What is kept of the bases of some pairs, and which rows of it are theirs; run now, if nothing is."""
        if part.kept is not None and part.kept_row is not None:
            return part.kept, part.kept_row
        wanted, rows = _bases(part)
        return self._cut.keep(*wanted), rows


class WholeSuffix(SuffixEngine):
    """Exchanges of the whole site as it is; nothing is learned. `right` says which pairs are right.

    Args:
        model: frozen.
        site: see `SuffixEngine`.
    """

    def __init__(self, model: nn.Module, site: Site):
        super().__init__(model, site, [])

    def exchange(
        self,
        base: list[Float[Tensor, "batch hidden"]],
        source: list[Float[Tensor, "batch hidden"]],
        block: list[Int[Tensor, "batch"]],
        alive: list[int],
    ) -> Float[Tensor, "rows hidden"]:
        """The sources."""
        return torch.cat(source)


def _bases(pairs: Prepared) -> tuple[tuple[Tensor, Tensor, Tensor], Int[Tensor, "batch"]]:
    """The different bases of some pairs: tokens, how many before the exchange and from there on; and whose is which."""
    ids = _up_to(pairs.ids, pairs.starts + pairs.steps)
    first, rows = distinct(ids, pairs.starts, pairs.steps)
    return (ids[first], pairs.starts[first], pairs.steps[first]), rows


def _up_to(ids: Int[Tensor, "batch pos"], lengths: Int[Tensor, "batch"]) -> Int[Tensor, "batch pos"]:
    """The first tokens of each row, with 0 after them."""
    return torch.where(torch.arange(ids.shape[1]) < lengths[:, None], ids, 0)
