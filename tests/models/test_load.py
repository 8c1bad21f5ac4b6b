import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from numsym._pyvene import (
    Intervenable,
    by_head,
    component_module,
    component_width,
    components_of,
    layers_with,
    locations,
    pv,
)
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.interventions import LinearAlignmentIntervention
from numsym.models import RecurrentConfig, RecurrentLM, Site, TransformerConfig, TransformerLM, load
from numsym.models.logits import kept, model_inputs

SMALL = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))
NAMES, small = list(SMALL["ARCHITECTURES"] | SMALL["LINEAR"] | SMALL["HYBRIDS"]), SMALL["small"]
AT = torch.tensor([3, 1, 5, 4])


def tokens(generator, n=4, length=7):
    return torch.randint(1, 40, (2, n, length), generator=generator)


def vanilla(component, layer, width):
    intervention = pv.VanillaIntervention(embed_dim=width)
    place = {"component": component, "layer": layer, "unit": "pos", "intervention": intervention}
    return pv.IntervenableConfig([place])


def by_hand(model, component, layer, base, source, base_at, source_at, features):
    """The exchange of some coordinates of one component's vector by torch's own hooks: logits."""
    module, where = component_module(model, component, layer)
    found, rows = [], torch.arange(len(base))

    def value(args, kwargs, output):
        held = output if where == "output" else (args[0] if args else next(iter(kwargs.values())))
        return held[0] if isinstance(held, tuple) else held

    def look(_, args, kwargs, output=None):
        found.append(value(args, kwargs, output).clone())

    def change(_, args, kwargs, output=None):
        new = value(args, kwargs, output).clone()
        new[rows[:, None], base_at[:, None], features] = found[0][rows[:, None], source_at[:, None], features]
        if where == "output":
            return (new, *output[1:]) if isinstance(output, tuple) else new
        return ((new, *args[1:]), kwargs) if args else (args, kwargs | {next(iter(kwargs)): new})

    register = getattr(module, "register_forward_hook" if where == "output" else "register_forward_pre_hook")
    hook = register(look, with_kwargs=True)
    model(source, use_cache=False)
    hook.remove()
    hook = register(change, with_kwargs=True)
    logits = model(base, use_cache=False).logits
    hook.remove()
    return logits


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_every_component_that_is_listed_is_where_torchs_own_hooks_say(name, generator):
    model, (base, source) = load(small(name)), tokens(generator)
    plain, tried = model(base, use_cache=False).logits, 0
    assert {"block_input", "block_output", "embeddings"} <= set(components_of(model))
    for component in components_of(model):
        if component.startswith("state"):  # in test_cached.py
            continue
        layer, heads = layers_with(model, component)[-1], by_head(model, component)
        width, head = component_width(model, component, layer), 1
        place = {"component": component, "layer": layer, "intervention": pv.VanillaIntervention(embed_dim=width)}
        unit, where = {"unit": "pos"}, locations(AT - 1, AT)
        if heads:
            unit = {"unit": "h.pos"}
            at = [[[[head]] * len(base), one[:, None].tolist()] for one in (AT - 1, AT)]
            where = {"sources->base": ([at[0]], [at[1]])}
        intervenable = Intervenable(pv.IntervenableConfig([place | unit]), model)
        inputs = [{"input_ids": ids, "use_cache": False} for ids in (base, source)]
        _, got = intervenable(inputs[0], [inputs[1]], where)
        start = head * width if heads else 0
        start += {"key_output": 1, "value_output": 2}.get(component.removeprefix("head_"), 0) * 32 * (name == "gpt2")
        features = torch.arange(start, start + width)
        want = by_hand(model, component, layer, base, source, AT, AT - 1, features)
        torch.testing.assert_close(got.logits, want, msg=component)
        assert not torch.equal(got.logits, plain), component  # a small module moves its logits little
        tried += 1
    assert tried >= 4


def test_what_does_not_work_is_not_listed():
    listed = components_of(load(small("gpt2")))
    assert "query_output" in listed
    assert "attention_weight" not in listed  # the usual attention never computes it
    grouped = load(small("llama"))
    assert "key_output" not in components_of(grouped)
    with pytest.raises(
        ModelMismatchError, match=r"'key_output' is not allowed for LlamaFor.*it is 16 wide for each of 3"
    ):
        Site("key_output", 1).check(grouped)
    with pytest.raises(
        InvalidArgumentError, match=r"site='head_query_output:1' is not allowed: .*such as 'query_output:1.0', or"
    ):
        Site("head_query_output", 1).check(grouped)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_on_either_side_changes_nothing(name, side, generator):
    model, (base, source) = load(small(name)), tokens(generator)
    lengths = torch.tensor([7, 4, 6, 5])
    start = 7 - lengths if side == "left" else torch.zeros_like(lengths)
    position = torch.arange(7)
    mask = (position >= start[:, None]) & (position < (start + lengths)[:, None])
    shift = lambda ids: torch.where(mask, ids.gather(1, (position - start[:, None]).clamp(min=0)), 0)  # noqa: E731
    at = start + lengths - 2
    torch.manual_seed(1)
    laf = LinearAlignmentIntervention(embed_dim=component_width(model, "block_output"))
    laf.set_interchange_dim(9)
    place = {"component": "block_output", "layer": 1, "unit": "pos", "intervention": laf}
    intervenable = Intervenable(pv.IntervenableConfig([place]), model)
    inputs = [model_inputs(model, shift(ids), mask) for ids in (base, source)]
    if side == "left" and name in ("rwkv", "xlstm"):  # their forwards mind no mask
        with pytest.raises(
            InvalidArgumentError, match=r"with padding before tokens is not allowed together with a place"
        ):
            intervenable(inputs[0], [inputs[1]], locations(at, at))
        return
    _, output = intervenable(inputs[0], [inputs[1]], locations(at, at))
    for row, length in enumerate(lengths.tolist()):
        alone = [{"input_ids": ids[row : row + 1, :length], "use_cache": False} for ids in (base, source)]
        one = torch.tensor([length - 2])
        _, want = intervenable(alone[0], [alone[1]], locations(one, one))
        got = output.logits[row, start[row] : start[row] + length]
        torch.testing.assert_close(got, want.logits[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "mamba"])
@torch.no_grad()
def test_only_the_positions_asked_for_are_decoded(name, generator):
    model, ids = load(small(name)), tokens(generator)[0]
    keep = torch.zeros(4, 7, dtype=torch.bool)
    keep[torch.arange(4), torch.tensor([2, 5, 5, 2])] = True
    inputs = model_inputs(model, ids, torch.ones_like(keep), keep)
    logits = model(**inputs).logits
    assert logits.shape[1] == 2
    torch.testing.assert_close(kept(model, logits, keep), model(ids).logits[keep])


@pytest.mark.parametrize("name", ["llama", "mamba"])
@torch.no_grad()
def test_folders_are_read_in_the_type_asked_for(name, tmp_path, generator):
    model, ids = small(name), tokens(generator)[0]
    model.save_pretrained(tmp_path / "model")
    for place in (tmp_path / "model", str(tmp_path / "model")):
        again = load(place)
        assert not again.training
        torch.testing.assert_close(again(ids).logits, model(ids).logits)
    half = load(tmp_path / "model", dtype="bfloat16", device="cpu")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert load(model) is model
    assert load(model.train(), dtype=torch.float64).dtype == torch.float64
    assert not model.training


def test_numsyms_own_folders_are_read(tmp_path):
    for number, model in enumerate(
        (RecurrentLM(RecurrentConfig(hidden_size=8)), TransformerLM(TransformerConfig(hidden_size=16, num_layers=1)))
    ):
        model.save_pretrained(tmp_path / str(number))
        again = load(tmp_path / str(number), dtype="float64")
        assert type(again) is type(model)
        assert components_of(again) == components_of(model)
        weights = model.state_dict()
        assert all(torch.equal(value, weights[name].double()) for name, value in again.state_dict().items())


def test_what_is_not_there_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("gpt2", "model='gpt2' is not allowed: it is no folder, and it is neither in the cache nor could it be"),
        ("no/such/folder/anywhere", "model='no/such/folder/anywhere' is not allowed: it is no folder"),
        (tmp_path / "missing", "missing' is not allowed: there is no such folder"),
        ("./missing", "model='./missing' is not allowed: there is no such folder"),
        (tmp_path / "empty", "empty' is not allowed: the folder holds no model that transformers reads"),
    ):
        with pytest.raises(InvalidArgumentError, match=said) as caught:
            load(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InvalidArgumentError, match="dtype='int4' is not allowed: it must be one of float32, bfloat16"):
        load("gpt2", dtype="int4")
    with pytest.raises(InvalidArgumentError, match="revision is not allowed with a model that is there"):
        load(small("gpt2"), revision="main")


def test_offline_the_message_is_all_that_a_program_prints():
    code = "import numsym\ntry: numsym.models.load('gpt2')\nexcept numsym.errors.NumsymError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("model='gpt2' is not allowed")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
