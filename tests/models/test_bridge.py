"""Bridges of TransformerLens, booted from transformers or natively, against TransformerLens's own hooks."""

import runpy
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerFast

import numsym
from numsym._pyvene import component_width, components_of, locations, pv
from numsym.errors import ModelMismatchError
from numsym.models import Site, hash_of, load, state_sites
from numsym.models.bridge import BridgeAdapter, is_bridge
from numsym.models.twin import check_twin, twin

small = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))["small"]
NAMES = {
    "embeddings": "embed.hook_out",
    "block_input": "blocks.{}.hook_in",
    "block_output": "blocks.{}.hook_out",
    "attention_output": "blocks.{}.attn.hook_out",
    "mlp_output": "blocks.{}.mlp.hook_out",
    "mlp_activation": "blocks.{}.mlp.out.hook_in",
    "attention_value_output": "blocks.{}.attn.o.hook_in",
    "query_output": "blocks.{}.attn.q.hook_out",
    "key_output": "blocks.{}.attn.k.hook_out",
    "value_output": "blocks.{}.attn.v.hook_out",
}


@pytest.fixture(scope="module")
def bridges(tmp_path_factory):
    """By name: booted from folders of transformers, and natively."""
    words = Tokenizer(models.WordLevel({str(i): i for i in range(40)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="0", bos_token="0", eos_token="0")
    made = {}
    for name in ("gpt2", "llama"):
        folder = tmp_path_factory.mktemp("models") / name
        small(name).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        made[name] = TransformerBridge.boot_transformers(str(folder), device="cpu")
    shape = TransformerBridgeConfig(
        d_model=32,
        d_head=8,
        n_heads=4,
        n_layers=2,
        n_ctx=23,
        d_vocab=40,
        act_fn="gelu",
        normalization_type="RMS",
        positional_embedding_type="rotary",
        seed=0,
    )
    shape.d_mlp = 80
    made["native"] = TransformerBridge.boot_native(shape)
    return made


KINDS = ("gpt2", "llama", "native")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_an_exchange_is_that_of_its_own_hooks(bridges, kind, generator):
    bridge = bridges[kind]
    model, (base, source) = load(bridge), torch.randint(1, 40, (2, 6, 9), generator=generator)
    assert isinstance(model, BridgeAdapter)
    assert model.bridge is bridge
    at, frm, rows = torch.randint(9, (6,), generator=generator), torch.randint(9, (6,), generator=generator), range(6)
    torch.testing.assert_close(model(base).logits, bridge(base))
    tried = [name for name in NAMES if name in components_of(model)]
    assert len(tried) >= 7
    for component in tried:
        layer = 0 if component == "embeddings" else 1
        place = {"component": component, "layer": layer, "unit": "pos", "intervention_type": pv.VanillaIntervention}
        intervenable = pv.IntervenableModel(pv.IntervenableConfig([place]), model)
        _, got = intervenable({"input_ids": base}, [{"input_ids": source}], locations(frm, at))
        held = []

        def look(value, hook, held=held):
            held.append(value.clone())

        def swap(value, hook, held=held):
            value = value.clone()
            value[rows, at] = held[0][rows, frm]
            return value

        name = NAMES[component].format(layer)
        bridge.run_with_hooks(source, fwd_hooks=[(name, look)])
        want = bridge.run_with_hooks(base, fwd_hooks=[(name, swap)])
        torch.testing.assert_close(got.logits, want, msg=component)
        assert not torch.allclose(got.logits, model(base).logits), component


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_padding_on_either_side_changes_nothing(bridges, kind, generator):
    model, ids = load(bridges[kind]), torch.randint(1, 40, (3, 6), generator=generator)
    one, zero, pad = torch.ones(3, 6), torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.long)
    right = model(torch.cat([ids, pad], 1), torch.cat([one, zero], 1).bool()).logits[:, :6]
    left = model(torch.cat([pad, ids], 1), torch.cat([zero, one], 1).bool()).logits[:, 4:]
    for got in (left, right):
        torch.testing.assert_close(got, model(ids).logits, atol=1e-4, rtol=1e-4)


def test_what_keys_are_shared_by_heads_is_not_listed(bridges):
    model = load(bridges["llama"])
    assert "key_output" not in components_of(model)
    with pytest.raises(ModelMismatchError, match=r"'key_output' is not allowed .*: it is 16 wide for each of 3, and"):
        Site("key_output", 1).check(model)
    assert component_width(load(bridges["native"]), "mlp_activation") == 80
    assert component_width(load(bridges["gpt2"]), "head_value_output") == 8
    assert state_sites(model) == [Site("block_input"), *(Site("block_output", layer) for layer in range(3))]


@pytest.mark.parametrize("kind", KINDS)
def test_its_twin_is_another_bridge(bridges, kind):
    model = load(bridges[kind])
    check_twin(model)
    made, again = twin(model, 1), twin(model, 1)
    assert components_of(made) == components_of(model)
    assert hash_of(made) == hash_of(again) != hash_of(model)
    assert {name: value.shape for name, value in made.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }


def test_a_bridge_is_aligned_and_is_as_it_was(bridges):
    bridge, task = bridges["native"], numsym.tasks.MultiObject(counts=range(1, 4))
    learned = [p.requires_grad for p in bridge.parameters()]
    model = load(bridge)
    found = numsym.align(
        model,
        task,
        site="block_output:1",
        subspace_dim=2,
        search={"max_steps": 2, "check_every": 1},
        pairs={"train": 40, "validation": 20, "test": 20},
    )
    assert set(found.controls) == {"floor", "ceiling", "permuted", "untrained", "neurons"}
    assert [p.requires_grad for p in bridge.parameters()] == learned
    assert is_bridge(bridge)
    assert not is_bridge(torch.nn.Linear(2, 2))
