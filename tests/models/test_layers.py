"""Interventions through pyvene against a plain step-by-step reference that edits the state between two steps."""

import pytest
import torch

from numsym._pyvene import locations, pv
from numsym.errors import InvalidArgumentError
from numsym.interventions import LinearAlignmentIntervention
from numsym.models import RecurrentConfig, RecurrentLM

BATCH, LENGTH, WIDTH = 64, 19, 12


def make(cell, layers):
    return RecurrentLM(RecurrentConfig(cell=cell, vocab_size=9, hidden_size=WIDTH, num_layers=layers)).eval()


def intervened(model, kind, layer, components=("state",)):
    config = [{"component": c, "layer": layer, "unit": "pos", "intervention_type": kind} for c in components]
    model = pv.IntervenableModel(pv.IntervenableConfig(config), model)
    for intervention in model.interventions.values():
        intervention.set_interchange_dim(5)
    return model


def one_step(layer, x, state):
    """The recurrence, one token, from torch's own cell equations."""
    r = layer.rnn
    gi, h = torch.nn.functional.linear(x, r.weight_ih_l0, r.bias_ih_l0), state[:, : r.hidden_size]
    gh = torch.nn.functional.linear(h, r.weight_hh_l0, r.bias_hh_l0)
    if layer.cell == "gru":
        ri, zi, ni = gi.chunk(3, -1)
        rh, zh, nh = gh.chunk(3, -1)
        reset, update = (ri + rh).sigmoid(), (zi + zh).sigmoid()
        return (1 - update) * (ni + reset * nh).tanh() + update * h
    i, f, g, o = (gi + gh).chunk(4, -1)
    c = f.sigmoid() * state[:, r.hidden_size :] + i.sigmoid() * g.tanh()
    return torch.cat([o.sigmoid() * c.tanh(), c], -1)


def reference(model, ids, edits=(), mask=None):
    """Logits step by step; `edits`: (layer, position by row, function of the states)."""
    states = [model.embed.weight.new_zeros(len(ids), WIDTH) for _ in model.layers]
    trace, logits = [], []
    for t in range(ids.shape[1]):
        x = model.embed(ids[:, t])
        for i, layer in enumerate(model.layers):
            new = one_step(layer, x, states[i])
            if mask is not None:
                new = torch.where(mask[:, t, None], new, states[i])
            for where, at, edit in edits:
                if where == i:
                    new = torch.where((at == t)[:, None], edit(new.clone()), new)
            states[i] = new
            x = new[:, : layer.rnn.hidden_size]
        trace.append(list(states))
        logits.append(model.decoder(x))
    return torch.stack(logits, 1), trace


def paddings(side, generator):
    lengths = torch.randint(6, LENGTH + 1, (BATCH,), generator=generator)
    at = (torch.rand(BATCH, generator=generator) * lengths).long()
    position = torch.arange(LENGTH)
    if side is None:
        return None, at
    if side == "right":
        return position < lengths[:, None], at
    return position >= LENGTH - lengths[:, None], at + LENGTH - lengths


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (2, 1)])
@pytest.mark.parametrize("kind", [pv.RotatedSpaceIntervention, LinearAlignmentIntervention, pv.VanillaIntervention])
@pytest.mark.parametrize("side", [None, "right", "left"])
@torch.no_grad()
def test_logits_equal_a_step_by_step_reference(cell, layers, layer, kind, side, generator):
    model = make(cell, layers)
    intervenable = intervened(model, kind, layer)
    exchange = next(iter(intervenable.interventions.values()))
    base, source = torch.randint(9, (2, BATCH, LENGTH), generator=generator)
    mask, at = paddings(side, generator)
    frm = torch.randint(LENGTH, (BATCH,), generator=generator)
    inputs = {"input_ids": base} | ({} if mask is None else {"attention_mask": mask})
    _, got = intervenable(inputs, [{"input_ids": source}], locations(frm, at))
    trace = reference(model, source)[1]
    states = torch.stack([step[layer] for step in trace], 1)[torch.arange(BATCH), frm]
    want, _ = reference(model, base, [(layer, at, lambda h: exchange(h, states.clone()))], mask)
    torch.testing.assert_close(got.logits, want, atol=1e-5, rtol=0)
    assert not torch.allclose(got.logits, model(**inputs).logits, atol=1e-3)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@torch.no_grad()
def test_states_equal_the_reference_and_padding_carries_them(cell, generator):
    model = make(cell, 2)
    ids = torch.randint(9, (BATCH, LENGTH), generator=generator)
    for side in (None, "right", "left"):
        mask, _ = paddings(side, generator)
        want = reference(model, ids, mask=mask)[1]
        for layer, states in enumerate(model.states(ids, mask)):
            torch.testing.assert_close(states, torch.stack([s[layer] for s in want], 1), atol=1e-5, rtol=0)


@torch.no_grad()
def test_two_sites_change_two_positions_in_order(generator):
    model = make("lstm", 1)
    intervenable = intervened(model, pv.RotatedSpaceIntervention, 0, ("state", "state_1"))
    first, second = intervenable.interventions.values()
    base, one, two = torch.randint(9, (3, BATCH, LENGTH), generator=generator)
    at = torch.randint(0, 8, (BATCH,), generator=generator)
    then = at + torch.randint(0, 8, (BATCH,), generator=generator)  # the same position is allowed
    where = {"sources->base": ([at[:, None].tolist()] * 2, [at[:, None].tolist(), then[:, None].tolist()])}
    _, got = intervenable({"input_ids": base}, [{"input_ids": one}, {"input_ids": two}], where)
    states = [model.states(ids)[0][torch.arange(BATCH), at] for ids in (one, two)]
    edits = [(0, at, lambda h: first(h, states[0].clone())), (0, then, lambda h: second(h, states[1].clone()))]
    torch.testing.assert_close(got.logits, reference(model, base, edits)[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_positions_that_cannot_be_exact_are_refused(generator):
    model = make("gru", 1)
    base, source = torch.randint(9, (2, 4, LENGTH), generator=generator)
    two = pv.IntervenableModel(
        pv.IntervenableConfig(
            [{"component": "state", "max_number_of_units": 2, "intervention_type": pv.VanillaIntervention}]
        ),
        model,
    )
    where = {"sources->base": ([[[1, 2]] * 4], [[[3, 5]] * 4])}
    with pytest.raises(InvalidArgumentError, match="give each further position its own component, in order: state"):
        two({"input_ids": base}, [{"input_ids": source}], where)
    falling = intervened(model, pv.VanillaIntervention, 0, ("state", "state_1"))
    where = {"sources->base": ([[[1]] * 4] * 2, [[[5]] * 4, [[3]] * 4])}
    with pytest.raises(InvalidArgumentError, match="must not fall"):
        falling({"input_ids": base}, [{"input_ids": source}] * 2, where)
    assert torch.equal(model(input_ids=base).logits, model(input_ids=base).logits)


def test_an_intervention_that_starts_as_the_identity_gets_its_gradient(generator):
    """A hook that adds a zero vector at one position: compared with finite differences of the reference."""
    model = make("lstm", 1).double().requires_grad_(False)
    ids, at = torch.randint(9, (3, LENGTH), generator=generator), 4
    shift = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)

    def add(module, args, output):
        output[:, at] = output[:, at] + shift

    handle = model.layers[0].sites[0].register_forward_hook(add)
    model(input_ids=ids).logits.sum().backward()
    handle.remove()
    for i in range(WIDTH):
        step = torch.zeros(WIDTH, dtype=torch.float64)
        step[i] = 1e-6
        up, down = (
            reference(model, ids, [(0, torch.full((3,), at), lambda h, s=s: h + s)])[0].sum() for s in (step, -step)
        )
        assert shift.grad[i].item() == pytest.approx(((up - down) / 2e-6).item(), rel=1e-4, abs=1e-7)


def test_collecting_states_equals_raw_hooks(generator):
    model = make("gru", 2)
    ids = torch.randint(9, (5, LENGTH), generator=generator)
    collect = pv.IntervenableModel(
        pv.IntervenableConfig([{"component": "state", "layer": 1, "intervention_type": pv.CollectIntervention}]), model
    )
    at = torch.randint(LENGTH, (5,), generator=generator)
    (_, collected), _ = collect({"input_ids": ids}, None, {"sources->base": (None, [at[:, None].tolist()])})
    want = model.states(ids)[1][torch.arange(5), at]
    torch.testing.assert_close(collected[0].reshape(5, WIDTH), want)
