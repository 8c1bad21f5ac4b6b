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
from numsym.alignment.pairs import Pairs
from numsym.alignment.search import right
from numsym.models.activations import activations
from numsym.models.logits import model_inputs
from numsym.models.site import Site
from numsym.models.twin import twin

CHUNK = 1000
"""Pairs whose states are read at a time."""

CONTROLS = ("floor", "ceiling", "permuted", "untrained", "neurons")


@torch.no_grad()
def states_at(
    model: nn.Module, site: Site, pairs: Pairs
) -> tuple[Float[Tensor, "row hidden"], Float[Tensor, "row hidden"]]:
    """The site's values where bases and sources meet; place after place where several are exchanged together."""
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(pairs), CHUNK):
        part = pairs.rows(slice(start, start + CHUNK)).to(device_of(model))
        longest = int(part.base_places.max()) + 1
        base = model_inputs(model, part.base_ids[:, :longest], part.base_mask[:, :longest])
        given = model_inputs(model, part.source_ids, part.source_mask)
        sides = (base, part.base_places), (given, part.source_places)
        rows = torch.arange(len(part), device=part.base_at.device)[:, None]
        values = [
            torch.stack([activations(model, one, inputs)[rows, at].float() for one in site.parts]).flatten(3)
            for inputs, at in sides
        ]
        found.append((values[0], values[1]))
    base_values, source_values = (torch.cat([side[i] for side in found], 1) for i in (0, 1))
    return _by_place(base_values), _by_place(source_values)


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
    inputs, found = model_inputs(model, pairs.source_ids, pairs.source_mask), []
    rows = torch.arange(len(pairs), device=pairs.source_at.device)[:, None]
    for part in site.parts:
        states = activations(model, part, inputs)
        found.append(states[rows.to(states.device), pairs.source_places.to(states.device)].flatten(1).float())
    return torch.cat([one.to(found[0].device) for one in found], 1), pairs.source_value


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
