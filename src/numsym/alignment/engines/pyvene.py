"""The search's reference route: every step runs base and source through `pv.IntervenableModel`.

Beside it, exchanges of whole sites, for which nothing is searched.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import intervenable, pv
from numsym.alignment.engines.free_running import CHUNK, FreeRun, generates, room, run_anew
from numsym.alignment.engines.rows import compacted, distinct
from numsym.alignment.pairs import Pairs
from numsym.alignment.search import right
from numsym.models.logits import kept, logits_of, model_inputs
from numsym.models.site import Site
from numsym.programs import Program


class PyveneEngine:
    """Loss and correctness of alignments on interchange pairs, one intervened forward pass each.

    Args:
        model: frozen by pyvene.
        site: where to intervene.
        interventions: one per alignment; the engine trains these very modules.
    """

    name, order, takes, at_tokens = "pyvene", 100, "any model that pyvene knows", True

    def __init__(self, model: nn.Module, site: Site, interventions: list[pv.Intervention]):
        self.model, self.site, self.interventions = model, site, interventions
        self._intervenables: dict[tuple[int, int], pv.IntervenableModel] = {}
        for index in range(len(interventions)):
            self._intervenable(index, 1)

    def _intervenable(self, index: int, positions: int) -> pv.IntervenableModel:
        """The model with one of the interventions, at so many positions."""
        key = index, positions
        if key not in self._intervenables:
            places = self.site.representations(self.interventions[index], positions)
            self._intervenables[key] = intervenable(self.model, places)
        return self._intervenables[key]

    @classmethod
    def supports(cls, model: nn.Module, site: Site, interventions: list[pv.Intervention]) -> bool:
        """Always."""
        return True

    def parameters(self) -> list[nn.Parameter]:
        """What the search learns."""
        return [p for one in self.interventions for p in one.parameters() if p.requires_grad]

    def boundaries(self) -> list[Tensor]:
        """How much each learned mask takes, a part of the loss."""
        return [one.size for one in self.interventions if hasattr(one, "boundary")]

    def prepare(self, pairs: Pairs) -> Pairs:
        """Nothing is computed ahead: each step starts from the tokens."""
        return pairs.to(device_of(self.model))

    def measure(
        self, prepared: list[Pairs], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch.
            alive: indices of the alignments to run.
        """
        losses, correct = [], []
        for index, pairs, row in zip(alive, prepared, rows, strict=True):
            part = pairs.rows(row)
            exchange = self._intervenable(index, part.base_places.shape[1])
            blocks = [part.block[:, None].tolist()] * len(exchange.interventions)
            subspaces = blocks if len(part.variables) > 1 else None
            loss, found = outcome(self.model, part, self.site, exchange, subspaces)
            losses.append(loss)
            correct.append(found)
        return torch.stack(losses), correct

    def exchange(
        self,
        base: list[Float[Tensor, "batch hidden"]],
        source: list[Float[Tensor, "batch hidden"]],
        block: list[Int[Tensor, "batch"]],
        alive: list[int],
    ) -> Float[Tensor, "rows hidden"]:
        """The states that each of `alive` makes of some, one alignment's batch after the other."""
        made = []
        for index, own, given, which in zip(alive, base, source, block, strict=True):
            one = self.interventions[index]
            blocks = None if one.subspace_partition is None else which[:, None].tolist()
            made.append(one(own.clone(), given, subspaces=blocks))
        return torch.cat(made)

    def set_temperature(self, index: int, temperature: float) -> None:
        """Set how soft the learned mask of one alignment is."""
        self.interventions[index].set_temperature(temperature)

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of what has been learned for one alignment."""
        return {name: value.detach().clone() for name, value in self.interventions[index].named_parameters()}

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set one alignment to parameters and buffers by name."""
        one = self.interventions[index]
        own = {**dict(one.named_parameters()), **dict(one.named_buffers())}
        with torch.no_grad():
            for name, value in snapshot.items():
                own[name].copy_(value)

    def free_running(
        self, index: int, pairs: Pairs, program: Program, generator: torch.Generator | None = None
    ) -> FreeRun | None:
        """What a language model of transformers says by itself after an exchange, run anew for each token.

        `None` for other models.
        """
        if not generates(self.model):
            return None
        found, steps = [], room(self.model, int(pairs.base_at.max()) + 1)
        for rows in torch.arange(len(pairs)).split(CHUNK):
            part = pairs.rows(rows).to(device_of(self.model))
            found.append(run_anew(partial(self._said, index, part), part, program, generator, steps))
        return FreeRun.joined(found)

    def _said(
        self, index: int, pairs: Pairs, ids: Int[Tensor, "batch pos"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch vocab"]:
        """The logits after the last token of some rows that begin as the bases do, with the exchange."""
        place = torch.arange(ids.shape[1], device=ids.device)
        mask, keep = place < lengths[:, None], place == lengths[:, None] - 1
        (at,) = compacted(pairs.base_mask, pairs.base_places)
        exchange, blocks = self._intervenable(index, at.shape[1]), [pairs.block[:, None].tolist()]
        subspaces = blocks * len(exchange.interventions) if len(pairs.variables) > 1 else None
        given = model_inputs(self.model, pairs.source_ids, pairs.source_mask)
        where = self.site.locations(pairs.source_places, at)
        _, output = exchange(model_inputs(self.model, ids, mask, keep), [given], where, subspaces=subspaces)
        return kept(self.model, logits_of(output), keep).to(ids.device)


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters."""
    return next(model.parameters()).device


def score(logits: Float[Tensor, "kept vocab"], pairs: Pairs) -> tuple[Tensor, Bool[Tensor, "batch"]]:
    """Mean cross-entropy of the scored tokens, and which pairs are right in all of theirs."""
    keep = pairs.scored[:, 1:]
    targets = pairs.base_ids[:, 1:][keep]
    wrong = torch.zeros_like(keep)
    wrong[keep] = logits.detach().argmax(-1) != targets
    return nn.functional.cross_entropy(logits.float(), targets), ~wrong.any(1)


def outcome(
    model: nn.Module,
    pairs: Pairs,
    site: Site | None = None,
    exchange: pv.IntervenableModel | None = None,
    subspaces: list | None = None,
) -> tuple[Tensor, Bool[Tensor, "batch"]]:
    """One pass over some pairs, with the exchange that an intervenable model makes at the pairs' positions, or none.

    Args:
        model: its model.
        pairs: on the model's device.
        site: where it makes that.
        exchange: it; all of its interventions take the same source.
        subspaces: as pyvene has them.

    Returns:
        As `score`.
    """
    return score(_logits(model, pairs, site, exchange, subspaces), pairs)


@torch.no_grad()
def predicted(model: nn.Module, site: Site, intervention: pv.Intervention, pairs: Pairs) -> Int[Tensor, "batch pos"]:
    """The tokens that a model says after an exchange where they are scored (teacher-forced); elsewhere the pairs' own.

    Args:
        model: frozen by pyvene.
        site: where the exchange happens.
        intervention: that makes it.
        pairs: few enough for one pass.
    """
    pairs = pairs.to(device_of(model))
    subspaces = [pairs.block[:, None].tolist()] if len(pairs.variables) > 1 else None
    exchange = intervenable(model, site.representations(intervention, pairs.base_places.shape[1]))
    logits = _logits(model, pairs, site, exchange, subspaces)
    said = pairs.base_ids.clone()
    said[:, 1:][pairs.scored[:, 1:]] = logits.argmax(-1)
    return said.cpu()


def _logits(
    model: nn.Module, pairs: Pairs, site: Site | None, exchange: pv.IntervenableModel | None, subspaces: list | None
) -> Float[Tensor, "kept vocab"]:
    """At the scored positions, row after row."""
    keep = pairs.scored[:, 1:]
    base = model_inputs(model, pairs.base_ids[:, :-1], pairs.base_mask[:, :-1], keep)
    if exchange is None or site is None:
        output = model(**base)
    else:
        source = model_inputs(model, pairs.source_ids, pairs.source_mask)
        where = site.locations(pairs.source_places, pairs.base_places)
        _, output = exchange(base, [source], where, subspaces=subspaces)
    return kept(model, logits_of(output), keep)


class Whole:
    """Exchanges of whole sites as they are, or of some neurons; nothing is learned. `right` says which pairs are right.

    Args:
        model: frozen by pyvene.
        sites: exchanged together; none leaves the model as it is.
        neurons: for each index that is asked for, the coordinates exchanged at every site; all if not given.

    Attributes:
        site: all of the sites in one; `None` without sites.
    """

    def __init__(self, model: nn.Module, sites: Sequence[Site], neurons: Sequence[Sequence[int]] | None = None):
        self.model, self.neurons = model, neurons
        self.site = Site.of([part for site in sites for part in site.parts]) if sites else None
        self._made: dict[int, pv.IntervenableModel] = {}
        if self.site is not None:
            self.intervenable(1)

    def intervenable(self, positions: int) -> pv.IntervenableModel | None:
        """The model with the exchange at so many positions; `None` without sites."""
        if self.site is None:
            return None
        if positions not in self._made:
            places = [
                place
                for part in self.site.parts
                for place in part.representations(pv.VanillaIntervention(embed_dim=part.check(self.model)), positions)
            ]
            # One group, so that a source runs once for all of them.
            self._made[positions] = intervenable(self.model, [place._replace(group_key=0) for place in places])
        return self._made[positions]

    def prepare(self, pairs: Pairs) -> Pairs:
        """Nothing is computed ahead."""
        return pairs.to(device_of(self.model))

    def measure(
        self, prepared: list[Pairs], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """Losses, and which pairs are right; see `PyveneEngine.measure`."""
        losses, correct = [], []
        for index, pairs, row in zip(alive, prepared, rows, strict=True):
            part, chosen = pairs.rows(row), None
            exchange = self.intervenable(part.base_places.shape[1])
            if self.neurons is not None and exchange is not None:
                chosen = [[list(self.neurons[index])] * len(row)] * len(exchange.interventions)
            loss, found = outcome(self.model, part, self.site, exchange, chosen)
            losses.append(loss)
            correct.append(found)
        return torch.stack(losses), correct


def unintervened(model: nn.Module, pairs: Pairs) -> Bool[Tensor, "batch"]:
    """Which counterfactuals the model gives with no intervention: the floor of IIA.

    Those that are alike are run once.
    """
    first, each = distinct(pairs.base_ids, pairs.base_mask, pairs.scored)
    return right(Whole(model, []), 0, pairs.rows(first))[each.cpu()]
