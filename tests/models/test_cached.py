"""The state of linear RNNs and hybrids: exchanged by pyvene, against runs that hold what the exchange should hold."""

import copy
import runpy
from pathlib import Path

import pytest
import torch

from numsym._pyvene import components_of, locations, pv
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.interventions import LinearAlignmentIntervention
from numsym.models import Site, load, state_sites
from numsym.models.cached import show_states
from numsym.models.logits import model_inputs
from numsym.models.stepping import Slots, Steps
from numsym.models.twin import twin

ZOO = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))
small, LINEAR, HYBRIDS = ZOO["small"], list(ZOO["LINEAR"]), list(ZOO["HYBRIDS"])
BATCH, LENGTH = 4, 9


def tokens(generator, n=2):
    return torch.randint(1, 40, (n, BATCH, LENGTH), generator=generator)


def exchanged(model, layers, base, source, frm, at, kind=pv.VanillaIntervention, **inputs):
    places = [{"component": "state", "layer": layer, "unit": "pos", "intervention_type": kind} for layer in layers]
    intervenable = pv.IntervenableModel(pv.IntervenableConfig(places), model)
    where = locations(frm, at, len(layers))
    sources = [{"input_ids": source} | inputs] * len(layers)
    return intervenable({"input_ids": base} | inputs, sources, where)[1].logits, intervenable


@pytest.mark.parametrize("name", LINEAR)
@torch.no_grad()
def test_all_layers_together_decide_what_follows(name, generator):
    model, (base, source) = load(small(name)), tokens(generator)
    frm, at = torch.tensor([2, 5, 0, 6]), torch.tensor([4, 1, 3, 0])
    sites = state_sites(model)
    assert sites == [Site("state", layer) for layer in range(model.config.num_hidden_layers)]
    got, _ = exchanged(model, [site.layer for site in sites], base, source, frm, at)
    plain = model(base, use_cache=False).logits
    for row, (t, s) in enumerate(zip(at.tolist(), frm.tolist(), strict=True)):
        joined = torch.cat([source[row, : s + 1], base[row, t + 1 :]])[None]
        want = model(joined, use_cache=False).logits[0, s + 1 :]
        torch.testing.assert_close(got[row, t + 1 :], want, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(got[row, : t + 1], plain[row, : t + 1], atol=1e-3, rtol=1e-3)
        assert (got - plain)[row, t + 1 :].abs().max() > 0.05


@torch.no_grad()
def by_hand(model, layer, base, source, frm, at, edit):
    """One row: transformers' own caches, prefilled; the states of one layer changed; then token by token."""
    steps = Steps(model, model.token_by_token.name)

    def prefilled(ids):
        slots, logits = Slots(steps._start(1)), []
        for t in range(ids.shape[1]):
            logits.append(steps._step(ids, None, t, slots))
        return slots, logits

    given, (mine, logits) = prefilled(source[:, : frm + 1])[0], prefilled(base[:, : at + 1])
    old, new = mine.read()[layer], given.read()[layer]
    flat = edit(*(torch.cat([part.flatten(1) for part in parts], -1) for parts in (old, new)))
    sizes = [part[0].numel() for part in old]
    mine.write(layer, [part.reshape(like.shape).clone() for part, like in zip(flat.split(sizes, -1), old, strict=True)])
    for t in range(at + 1, base.shape[1]):
        logits.append(steps._step(base, None, t, mine))
    return torch.cat(logits, 1)


@pytest.mark.parametrize("name", LINEAR + HYBRIDS)
@torch.no_grad()
def test_one_layer_is_exchanged_as_by_hand(name, generator):
    model, (base, source) = load(small(name)), tokens(generator)
    frm, at = torch.tensor([2, 5, 0, 6]), torch.tensor([4, 1, 3, 0])
    for layer in (site.layer for site in state_sites(model)):
        got, intervenable = exchanged(model, [layer], base, source, frm, at, LinearAlignmentIntervention)
        one = next(iter(intervenable.interventions.values()))
        for row in range(BATCH):
            rows = slice(row, row + 1)
            want = by_hand(model, layer, base[rows], source[rows], int(frm[row]), int(at[row]), one)
            torch.testing.assert_close(got[rows], want, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [*LINEAR, "qwen3_next", "jamba"])
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_changes_nothing(name, side, generator):
    model, (base, source) = load(small(name)), tokens(generator)
    lengths = torch.tensor([9, 5, 7, 6])
    start = LENGTH - lengths if side == "left" else torch.zeros_like(lengths)
    mask = (torch.arange(LENGTH) >= start[:, None]) & (torch.arange(LENGTH) < (start + lengths)[:, None])
    at = start + lengths - 3
    got, intervenable = exchanged(
        model, [1 if "jamba" not in name else 2], base, source, at, at, LinearAlignmentIntervention, attention_mask=mask
    )
    for row in range(BATCH):
        alone = [{"input_ids": ids[row, mask[row]][None]} for ids in (base, source)]
        where = lengths[row : row + 1] - 3
        _, want = intervenable(alone[0], [alone[1]], locations(where, where))
        torch.testing.assert_close(got[row, mask[row]], want.logits[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [*LINEAR, *HYBRIDS])
def test_gradients_are_those_of_finite_differences(name, generator):
    model = load(small(name).double()).requires_grad_(False)
    ids, at, layer = tokens(generator, 1)[0], torch.tensor([4, 1, 3, 0]), state_sites(model)[0].layer
    rows, width = torch.arange(BATCH), model.state_widths[layer]
    weights = torch.randn(BATCH, LENGTH, 40, generator=generator, dtype=torch.float64)
    direction = torch.randn(BATCH, width, generator=generator, dtype=torch.float64)

    def value(size):
        def add(module, args, states):
            states[rows, at] = states[rows, at] + size * direction

        handle = model.state_sites[layer].sites[0].register_forward_hook(add)
        try:
            return (model(ids).logits * weights).sum()
        finally:
            handle.remove()

    for size in (0.0, 0.1):
        leaf = torch.tensor(size, dtype=torch.float64, requires_grad=True)
        (got,) = torch.autograd.grad(value(leaf), leaf)
        with torch.no_grad():
            want = (value(size + 1e-5) - value(size - 1e-5)) / 2e-5
        # Some parts of these models compute in single precision whatever they are given.
        torch.testing.assert_close(got, want, rtol=2e-2, atol=2e-2 * float(want.abs() + 1))
        assert abs(got) > 1e-6


@pytest.mark.parametrize("name", LINEAR)
@torch.no_grad()
def test_padding_before_tokens_is_minded_without_an_exchange_too(name, generator):
    model, ids = load(small(name)), tokens(generator, 1)[0]
    mask = torch.arange(LENGTH) >= torch.tensor([0, 3, 2, 1])[:, None]
    got = model(**model_inputs(model, ids, mask)).logits
    for row in range(BATCH):
        want = model(ids[row, mask[row]][None], use_cache=False).logits[0]
        torch.testing.assert_close(got[row, mask[row]], want, atol=1e-3, rtol=1e-3)


def test_a_model_is_what_it_was_and_has_its_states(generator):
    model, ids = small("mamba2"), tokens(generator, 1)[0]
    want, weights = model(ids).logits, set(model.state_dict())
    assert load(model) is model
    assert show_states(model)
    assert set(model.state_dict()) == weights
    assert torch.equal(model(ids).logits, want)
    assert "logits_to_keep" in __import__("inspect").signature(model.forward).parameters
    assert model(ids, logits_to_keep=2).logits.shape[1] == 2
    again = copy.deepcopy(model)
    frm = torch.tensor([1, 2, 3, 4])
    first, second = (exchanged(one, [1], ids, ids.flip(0), frm, frm)[0] for one in (model, again))
    assert torch.equal(first, second)
    assert not torch.equal(first, want)
    made = twin(model, 3)
    assert components_of(made) == components_of(model)
    assert made.generate(ids[:1], max_new_tokens=3).shape == (1, LENGTH + 3)


def test_only_layers_that_carry_a_state_have_one():
    model = load(small("qwen3_next"))
    assert [site.layer for site in state_sites(model)] == [0, 1, 2]
    with pytest.raises(UnknownNameError, match="has no 'state' there"):
        Site("state", 3).check(model)
    assert "state" not in components_of(load(small("llama")))
    assert not show_states(torch.nn.Linear(2, 2))


def test_a_state_is_exchanged_alone(generator):
    model, (base, source) = load(small("mamba")), tokens(generator)
    places = [
        {"component": name, "layer": 0, "unit": "pos", "intervention_type": pv.VanillaIntervention}
        for name in ("state", "block_output")
    ]
    intervenable = pv.IntervenableModel(pv.IntervenableConfig(places), model)
    at = torch.tensor([1, 2, 3, 4])
    with pytest.raises(
        InvalidArgumentError, match=r"'state' is not allowed together with a place at 'backbone.layers.0'"
    ):
        intervenable({"input_ids": base}, [{"input_ids": source}] * 2, locations(at, at, 2))
