import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import einops
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
from numsym.models.twin import twin
from numsym.models.weights import hash_of

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


def write_gguf(model, path):
    """A Llama as llama.cpp has it, its weights unquantised."""
    import gguf

    config, heads = model.config, {"q": model.config.num_attention_heads, "k": model.config.num_key_value_heads}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    parts = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for name, value in model.state_dict().items():
        name, value = name.removesuffix(".weight"), value.float()
        for theirs, mine in parts.items():
            name = re.sub(rf"model\.layers\.(\d+)\.{theirs}$", rf"blk.\1.{mine}", name)
        for part, n in heads.items():
            if name.endswith(f"attn_{part}"):  # the two halves of a head's rotary features lie beside each other
                value = einops.rearrange(value, "(n half f) d -> (n f half) d", n=n, half=2)
        writer.add_tensor(f"{whole.get(name, name)}.weight", value.contiguous().numpy())
    for write in ("write_header_to_file", "write_kv_data_to_file", "write_tensors_to_file", "close"):
        getattr(writer, write)()


def test_a_gguf_file_is_read_and_is_then_a_model_like_any_other(tmp_path):
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    model, ids = small("llama"), torch.arange(1, 8)[None]
    write_gguf(model, tmp_path / "small.gguf")
    for read in (load(tmp_path, gguf_file="small.gguf"), load(tmp_path / "small.gguf", dtype="float32")):
        torch.testing.assert_close(read(ids).logits, model.eval()(ids).logits)
        assert set(components_of(read)) == set(components_of(load(model)))
    read.save_pretrained(tmp_path / "plain")
    assert hash_of(load(tmp_path / "plain")) == hash_of(read)
    assert twin(read, 0).config.num_hidden_layers == 3


def test_a_gguf_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "one.gguf").touch()
    with pytest.raises(
        InvalidArgumentError, match=r"gguf_file='two.gguf' is not allowed: of such files .* has one.gguf"
    ):
        load(tmp_path, gguf_file="two.gguf")
    with pytest.raises(InvalidArgumentError, match="gguf_file is not allowed with a model that is there"):
        load(small("llama"), gguf_file="one.gguf")
    with pytest.raises(InvalidArgumentError, match="is not allowed: the folder holds no model that transformers reads"):
        load(tmp_path, gguf_file="one.gguf")
