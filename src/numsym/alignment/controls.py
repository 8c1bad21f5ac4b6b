"""Is it the model, or the map? What any search result is compared with.

| control | what it is | what it shows |
| --- | --- | --- |
| floor | no intervention, same pairs | how often the counterfactual is what the model does anyway |
| ceiling | the whole state exchanged, against that of all variables | what the site carries; who is above it steers |
| permuted | the same search, with sources that tell nothing of the counterfactual | what a map reaches by itself |
| untrained | the same search on the same architecture with fresh weights | what the map makes of any network |
| neurons | k single neurons exchanged, those that a linear probe for the variable weighs most | what no map reaches |
"""

import einops
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import pv
from numsym.alignment.engines.pyvene import Whole, device_of
from numsym.alignment.engines.rows import distinct
from numsym.alignment.pairs import Pairs
from numsym.alignment.search import right
from numsym.models.activations import activations_at
from numsym.models.logits import model_inputs
from numsym.models.site import Site
from numsym.models.twin import twin

CHUNK = 1000
"""Rows whose states are read at a time."""

CONTROLS = ("floor", "ceiling", "permuted", "untrained", "neurons")


@torch.no_grad()
def states_at(
    model: nn.Module, site: Site, pairs: Pairs
) -> tuple[Float[Tensor, "row hidden"], Float[Tensor, "row hidden"]]:
    """The site's values where bases and sources meet; place after place where several are exchanged together."""
    pairs = pairs.to(device_of(model))
    longest = int(pairs.base_places.max()) + 1
    base = pairs.base_ids[:, :longest], pairs.base_mask[:, :longest], pairs.base_places
    source = pairs.source_ids, pairs.source_mask, pairs.source_places
    return _by_place(_values(model, site, *base)), _by_place(_values(model, site, *source))


def _values(
    model: nn.Module,
    site: Site,
    ids: Int[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch pos"],
    at: Int[Tensor, "batch token"],
) -> Float[Tensor, "site batch token hidden"]:
    """The site's values at some positions of each row; rows that are alike are run once."""
    first, each = distinct(ids.masked_fill(~mask, 0), mask, at)
    found: list[Tensor] = []
    for rows in first.split(CHUNK):
        own, there = mask[rows], at[rows]
        width = int(own.any(0).nonzero().max()) + 1
        last = torch.arange(width, device=rows.device) == width - 1
        # Nobody asks for its logits, and a language model's are many.
        inputs = model_inputs(model, ids[rows, :width], own[:, :width], last.expand(len(rows), -1))
        row = torch.arange(len(rows), device=rows.device)[:, None]
        read = activations_at(model, site.parts, inputs)
        states = [read[one] for one in site.parts]
        picked = [one[row.to(one.device), there.to(one.device)].flatten(2).float() for one in states]
        found.append(torch.stack([one.to(rows.device) for one in picked]))
    return torch.cat(found, 1).index_select(1, each)


def _by_place(values: Float[Tensor, "site batch token hidden"]) -> Float[Tensor, "row hidden"]:
    return einops.rearrange(values, "site batch token hidden -> (site token batch) hidden")


@torch.no_grad()
def exchanged_states(
    model: nn.Module, site: Site, intervention: pv.Intervention, pairs: Pairs
) -> tuple[Float[Tensor, "row hidden"], Float[Tensor, "both hidden"]]:
    """The states after the exchange, and those of bases and sources before it."""
    base, source = states_at(model, site, pairs)
    blocks = pairs.block.repeat(len(base) // len(pairs)).tolist()
    subspaces = [[block] for block in blocks] if len(pairs.variables) > 1 else None
    return intervention(base.clone(), source, subspaces), torch.cat([base, source])


@torch.no_grad()
def site_values(
    model: nn.Module, site: Site, pairs: Pairs
) -> tuple[Float[Tensor, "batch hidden"], Int[Tensor, "batch"]]:
    """The site's values at the sources' positions, side by side where there are several, and the variable's there."""
    pairs = pairs.to(device_of(model))
    found = _values(model, site, pairs.source_ids, pairs.source_mask, pairs.source_places)
    return einops.rearrange(found, "site batch token hidden -> batch (site token hidden)"), pairs.source_value


def single_neurons(model: nn.Module, site: Site, training: Pairs, test: Pairs, k: int) -> Bool[Tensor, "batch"]:
    """Which test pairs are right when the k neurons are exchanged that a least-squares probe weighs most."""
    chosen = sorted(probe_weights(model, site, training).topk(k).indices.tolist())
    return right(Whole(model, [site], [chosen]), 0, test)


def probe_weights(model: nn.Module, site: Site, training: Pairs) -> Float[Tensor, "hidden"]:
    """How much each neuron weighs in a least-squares probe for the variable.

    The probe predicts the variable from standardised states of the training pairs' sources; a neuron's weight is the
    absolute value of its coefficient, so weights compare across neurons; where several places are exchanged together,
    it is the sum over them.
    """
    states, values = site_values(model, site, training.rows(slice(0, 4000)))
    spread = states.std(0)
    standard = (states - states.mean(0)) / torch.where(spread > 0, spread, 1.0)
    target = values.double() - values.double().mean()
    ridge = 1e-3 * len(states) * torch.eye(states.shape[1], dtype=torch.float64, device=states.device)
    weights = torch.linalg.solve(standard.double().mT @ standard.double() + ridge, standard.double().mT @ target)
    return weights.abs().view(-1, site.check(model)).sum(0)


@torch.no_grad()
def exchanged_neurons(
    model: nn.Module, site: Site, pairs: Pairs, sets: list[list[int]]
) -> tuple[Float[Tensor, "sets"], Bool[Tensor, "sets batch"]]:
    """What exchanging sets of single neurons does: for each set the mean loss, and which pairs are right."""
    engine = Whole(model, [site], [sorted(each) for each in sets])
    parts = [engine.prepare(pairs.rows(rows)) for rows in torch.arange(len(pairs)).split(1000)]
    losses, correct = [], []
    for index in range(len(sets)):
        found = [engine.measure([part], [torch.arange(len(part))], [index]) for part in parts]
        losses.append(torch.stack([loss[0] for loss, _ in found]).mean().cpu())
        correct.append(torch.cat([one[0].cpu() for _, one in found]))
    return torch.stack(losses), torch.stack(correct)


def untrained(model: nn.Module, seed: int) -> nn.Module:
    """The same architecture with fresh weights; see `numsym.models.twin`."""
    return twin(model, seed)
