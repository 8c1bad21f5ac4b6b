"""Exchanges of the state of one's own networks, in plain pyvene, against a state swap by hand."""

import copy
import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from numsym._pyvene import components_of, locations, pv
from numsym.errors import InvalidArgumentError
from numsym.interventions import LinearAlignmentIntervention
from numsym.models import load
from numsym.models.own import Layout

MINE = runpy.run_path(str(Path(__file__).parent / "own_networks.py"))
KINDS, by_hand, VOCAB = MINE["KINDS"], MINE["by_hand"], MINE["VOCAB"]
BATCH, LENGTH = 12, 11


def make(kind, layers, seed=0):
    torch.manual_seed(seed)
    network = KINDS[kind](layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)  # so that what came long ago is still seen
    return network


def tokens(generator, n=2):
    return torch.randint(VOCAB, (n, BATCH, LENGTH), generator=generator)


def positions(generator):
    return torch.randint(LENGTH, (2, BATCH), generator=generator)


def intervened(model, kind, layer, components=("state",)):
    places = [{"component": c, "layer": layer, "unit": "pos", "intervention_type": kind} for c in components]
    found = pv.IntervenableModel(pv.IntervenableConfig(places), model)
    for intervention in found.interventions.values():
        intervention.set_interchange_dim(4)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (2, 1)])
@pytest.mark.parametrize("exchange", [pv.VanillaIntervention, LinearAlignmentIntervention])
@torch.no_grad()
def test_an_exchange_in_plain_pyvene_is_a_state_swap_by_hand(kind, layers, layer, exchange, generator):
    network = make(kind, layers)
    model, (base, source), (frm, at) = load(network), tokens(generator), positions(generator)
    intervenable = intervened(model, exchange, layer)
    _, got = intervenable({"input_ids": base}, [{"input_ids": source}], locations(frm, at))
    plain, states = by_hand(network, base)[0], by_hand(network, source)[1]
    torch.testing.assert_close(model(base).logits, plain, atol=1e-5, rtol=1e-4)
    given = states[layer][torch.arange(BATCH), frm]
    one = next(iter(intervenable.interventions.values()))
    want, _ = by_hand(network, base, [(layer, at, lambda h: one(h, given.clone()))])
    torch.testing.assert_close(got.logits, want, atol=1e-5, rtol=1e-4)
    later = torch.arange(LENGTH) > at[:, None]
    assert (got.logits - plain)[later].abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["GRUTrue", "LSTMTrue", "stepped LSTM", "LSTMCell", "own cell"])
@torch.no_grad()
def test_further_sites_take_further_positions(kind, generator):
    network = make(kind, 2)
    model, (base, first, second), (at, more) = load(network), tokens(generator, 3), positions(generator)
    at, then = at % 6, at % 6 + more % 5
    intervenable = intervened(model, LinearAlignmentIntervention, 0, ("state", "state_1"))
    one, two = intervenable.interventions.values()
    where = {"sources->base": ([at[:, None].tolist()] * 2, [at[:, None].tolist(), then[:, None].tolist()])}
    _, got = intervenable({"input_ids": base}, [{"input_ids": first}, {"input_ids": second}], where)
    states = [by_hand(network, ids)[1][0][torch.arange(BATCH), at] for ids in (first, second)]
    edits = [(0, at, lambda h: one(h, states[0].clone())), (0, then, lambda h: two(h, states[1].clone()))]
    torch.testing.assert_close(got.logits, by_hand(network, base, edits)[0], atol=1e-5, rtol=1e-4)
    where = {"sources->base": ([at[:, None].tolist()] * 2, [[[5]] * BATCH, [[3]] * BATCH])}
    with pytest.raises(InvalidArgumentError, match="must not fall"):
        intervenable({"input_ids": base}, [{"input_ids": first}, {"input_ids": second}], where)


@pytest.mark.parametrize("kind", ["GRUTrue", "LSTMFalse", "LSTMCell", "own cell"])
@torch.no_grad()
def test_all_layers_at_once_hand_over_everything(kind, generator):
    model, (base, source), (frm, at) = load(make(kind, 2)), tokens(generator), positions(generator)
    places = [{"component": "state", "layer": i, "intervention_type": pv.VanillaIntervention} for i in range(2)]
    where = {"sources->base": ([frm[:, None].tolist()] * 2, [at[:, None].tolist()] * 2)}
    call = {"input_ids": base}, [{"input_ids": source}] * 2, where
    _, got = pv.IntervenableModel(pv.IntervenableConfig(places), model)(*call)
    for row, (t, s) in enumerate(zip(at.tolist(), frm.tolist(), strict=True)):
        joined = torch.cat([source[row, : s + 1], base[row, t + 1 :]])[None]
        torch.testing.assert_close(got.logits[row, t + 1 :], model(joined).logits[0, s + 1 :], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["GRUTrue", "LSTMFalse", "packed GRU", "stepped GRU", "LSTMCell", "own cell"])
@pytest.mark.parametrize("side", ["left", "right", "between"])
@torch.no_grad()
def test_padding_changes_nothing(kind, side, generator):
    network = make(kind, 2)
    model, (base, source), at = load(network), tokens(generator), positions(generator)[1]
    lengths = torch.randint(4, LENGTH + 1, (BATCH,), generator=generator)
    place = torch.rand(BATCH, LENGTH, generator=generator).argsort(1)
    mask = {
        "right": torch.arange(LENGTH) < lengths[:, None],
        "left": torch.arange(LENGTH) >= LENGTH - lengths[:, None],
        "between": place < lengths[:, None],
    }[side]
    real = mask.nonzero().split(lengths.tolist())
    picked = torch.stack([rows[a % len(rows), 1] for rows, a in zip(real, at.tolist(), strict=True)])
    intervenable = intervened(model, LinearAlignmentIntervention, 1)
    inputs = [{"input_ids": ids, "attention_mask": mask} for ids in (base, source)]
    _, got = intervenable(inputs[0], [inputs[1]], locations(picked, picked))
    for row in range(BATCH):
        alone = [{"input_ids": ids[row, mask[row]][None]} for ids in (base, source)]
        one = mask[row, : picked[row]].sum()[None]
        _, want = intervenable(alone[0], [alone[1]], locations(one, one))
        torch.testing.assert_close(got.logits[row, mask[row]], want.logits[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["GRUTrue", "LSTMTrue", "stepped GRU", "LSTMCell", "own cell"])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_gradients_are_those_of_the_hand(kind, start, generator):
    """Of a vector added to one state, in double precision: also where it is zero and changes nothing yet."""
    network = make(kind, 2).double().requires_grad_(False)
    model, ids, at = load(network), tokens(generator, 1)[0], positions(generator)[0]
    shift = torch.full((BATCH, MINE["width"](network)), start, dtype=torch.float64, requires_grad=True)
    rows = torch.arange(BATCH)

    def add(module, args, states):
        states[rows, at] = states[rows, at] + shift

    handle = model.layers[0].sites[0].register_forward_hook(add)
    weights = torch.randn(BATCH, LENGTH, VOCAB, generator=generator, dtype=torch.float64)
    (got,) = torch.autograd.grad((model(ids).logits * weights).sum(), shift)
    handle.remove()
    (want,) = torch.autograd.grad((by_hand(network, ids, [(0, at, lambda h: h + shift)])[0] * weights).sum(), shift)
    torch.testing.assert_close(got, want)


def test_weights_are_shared_and_the_network_stays_as_it_is(generator):
    network = make("LSTMTrue", 2).train()
    held, hooks = copy.deepcopy(network.state_dict()), []
    hook = network.rnn.register_forward_hook(lambda *_: hooks.append(1))
    model, (base, source), (frm, at) = load(network), tokens(generator), positions(generator)
    assert model.module is network
    assert {p.data_ptr() for p in model.parameters()} == {p.data_ptr() for p in network.parameters()}
    model(base)
    assert len(network.rnn._forward_hooks) == 1
    handle = (
        model.layers[1]
        .sites[0]
        .register_forward_hook(lambda m, a, states: states + (torch.arange(LENGTH) == 3)[:, None])
    )
    hooks.clear()
    assert not torch.allclose(model(base).logits, network(base))
    assert len(hooks) == 3  # the states, the run that goes on from them, and the network by itself
    handle.remove()
    assert {name: list(part._forward_hooks) for name, part in network.named_modules() if part._forward_hooks} == {
        "rnn": [hook.id]
    }
    assert all(torch.equal(value, held[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        network.rnn.weight_hh_l1.zero_()
    torch.testing.assert_close(model(base).logits, network(base))
    assert components_of(model)[:2] == ("state", "state_1")
    again = copy.deepcopy(model)
    call = {"input_ids": base}, [{"input_ids": source}], locations(frm, at)
    got, want = (intervened(one, pv.VanillaIntervention, 0)(*call)[1].logits for one in (again, model))
    torch.testing.assert_close(got, want)


def test_weights_under_a_parametrization_are_the_ones_that_run(generator):
    network = make("GRUTrue", 1)
    nn.utils.parametrizations.weight_norm(network.rnn, "weight_hh_l0")
    model, (base, source), (frm, at) = load(network), tokens(generator), positions(generator)
    with torch.no_grad():
        _, got = intervened(model, pv.VanillaIntervention, 0)(
            {"input_ids": base}, [{"input_ids": source}], locations(frm, at)
        )
        given = by_hand(network, source)[1][0][torch.arange(BATCH), frm]
        want = by_hand(network, base, [(0, at, lambda h: torch.cat([given[:, :4], h[:, 4:]], 1))])[0]
    torch.testing.assert_close(got.logits, want, atol=1e-5, rtol=1e-4)


def test_what_is_saved_with_it_pyvene_loads(tmp_path, generator):
    model, (base, source), (frm, at) = load(make("LSTMCell", 1)), tokens(generator), positions(generator)
    intervenable = intervened(model, pv.RotatedSpaceIntervention, 0)
    call = {"input_ids": base}, [{"input_ids": source}], locations(frm, at)
    intervenable.save(str(tmp_path / "saved"))
    again = pv.IntervenableModel.load(str(tmp_path / "saved"), model)
    torch.testing.assert_close(again(*call)[1].logits, intervenable(*call)[1].logits)


def test_a_layout_packs_and_spreads():
    assert Layout.of(None) is None
    assert Layout.of(torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)) is None
    layout = Layout.of(torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1]], dtype=torch.bool))
    values = torch.arange(8).reshape(2, 4)
    assert layout.packed(values)[0, :2].tolist() == [1, 3]
    assert layout.spread(layout.packed(values)).tolist() == [[1, 1, 1, 3], [4, 5, 6, 7]]
