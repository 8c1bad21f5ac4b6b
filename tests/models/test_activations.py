"""Activations against the models' own states and against pyvene's collection."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from numsym._pyvene import component_width, components_of, pv
from numsym.errors import ModelMismatchError, UnknownNameError
from numsym.models import RecurrentConfig, RecurrentLM, Site, TransformerConfig, TransformerLM, activations
from numsym.models.activations import reading
from numsym.models.logits import model_inputs
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(), void_prob=0.2)
ABSENT = ("attention_weight",)
"""GPT-2's modules that do not run in its fast attention."""


@pytest.fixture
def batch(generator):
    return TASK.sample(12, generator=generator)


def gpt2():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=TASK.vocab_size, n_embd=8, n_layer=2, n_head=2, n_positions=32, bos_token_id=0)
    return GPT2LMHeadModel(config)


def transformer():
    torch.manual_seed(0)
    return TransformerLM(TransformerConfig(vocab_size=TASK.vocab_size, hidden_size=8, num_heads=2, num_layers=2))


def collected(model, component, layer, batch, heads):
    """What pyvene collects there, at every position and of every head."""
    one = pv.CollectIntervention(embed_dim=component_width(model, component), keep_last_dim=True)
    unit = "h.pos" if heads else "pos"
    place = {"component": component, "layer": layer, "unit": unit, "max_number_of_units": 99, "intervention": one}
    everywhere = [list(range(batch.input_ids.shape[1]))] * len(batch)
    at = [[list(range(heads))] * len(batch), everywhere] if heads else everywhere
    intervenable = pv.IntervenableModel(pv.IntervenableConfig([place]), model)
    inputs = model_inputs(model, batch.input_ids, batch.mask)
    (_, found), _ = intervenable(inputs, None, {"sources->base": (None, [at])})
    return found[0]


@pytest.mark.parametrize("make", [gpt2, transformer])
def test_every_component_holds_what_pyvene_collects(make, batch):
    model = make().eval()
    for component in set(components_of(model)) - set(ABSENT):
        found = activations(model, f"{component}:1" if component != "embeddings" else component, batch)
        heads = 2 if component.startswith("head_") else 0
        want = collected(model, component, 1, batch, heads)
        assert found.shape == want.shape == ((12, 2) if heads else (12,)) + (batch.input_ids.shape[1], want.shape[-1])
        assert torch.equal(found, want), component


def test_states_are_those_of_the_model_at_any_layer(batch):
    model = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=TASK.vocab_size, hidden_size=8, num_layers=2)).eval()
    with torch.no_grad():
        states = model.states(batch.input_ids, batch.mask)
    for layer in (0, 1):
        torch.testing.assert_close(activations(model, Site("state", layer), batch), states[layer])
    given = {"input_ids": batch.input_ids, "attention_mask": batch.mask}
    assert torch.equal(activations(model, "state:1", given), activations(model, "state:1", batch))


def test_the_model_is_left_with_its_hooks_and_in_its_mode(batch):
    model, seen = gpt2(), []
    model.train()
    model.transformer.h[0].eval()
    model.lm_head.weight.requires_grad_(False)
    modes = [part.training for part in model.modules()]
    kept = model.transformer.h[0].register_forward_hook(lambda module, args, output: (output * 2, seen.append(1))[0])
    block = model.transformer.h[0]
    hooks = (list(block._forward_hooks), list(block._forward_pre_hooks))
    first = activations(model, "block_output:0", batch)
    assert seen == [1]
    # No dropout, and what the user's hook makes of it is what is there.
    assert torch.equal(activations(model, "block_output:0", batch), first)
    assert torch.equal(activations(model, "block_input:1", batch), first)
    with pytest.raises(RuntimeError, match="stop"), reading(model, "block_output:0", "block_input:1") as found:
        model(input_ids=batch.input_ids)
        raise RuntimeError("stop")
    assert list(found) == [Site("block_output", 0), Site("block_input", 1)]
    assert (list(block._forward_hooks), list(block._forward_pre_hooks)) == hooks
    assert [part.training for part in model.modules()] == modes
    assert not model.lm_head.weight.requires_grad
    assert block.mlp.c_fc.weight.requires_grad
    kept.remove()


class Own(nn.Module):
    """A class that pyvene does not know; its block gives several things, and is called by keyword."""

    def __init__(self):
        super().__init__()
        self.embed, self.blocks, self.idle = nn.Embedding(5, 4), nn.ModuleList([Doubled()]), nn.Linear(1, 1)

    def forward(self, input_ids):
        x = self.embed(input_ids)
        y, _ = self.blocks[0](x=x)
        x.add_(1)
        return y


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x, None


def test_any_module_is_read_by_its_path(generator):
    model, tokens = Own(), torch.randint(5, (3, 4), generator=generator)
    want = model.embed(tokens).detach()
    # The block's input as it was when it was read, though the model writes into it afterwards.
    for site, value in (("blocks[0].input", want), ("embed.output", want), ("blocks[0].output", 2 * want)):
        assert torch.equal(activations(model, site, tokens), value)
    with pytest.raises(ModelMismatchError, match=r"site='idle.output:0' is not allowed for Own: its"):
        activations(model, "idle.output", tokens)
    with pytest.raises(UnknownNameError, match=r"component='blocks\[1\].output' is not allowed: Own has no"):
        activations(model, "blocks[1].output", tokens)
    with pytest.raises(ModelMismatchError, match="pyvene does not know Own"):
        activations(model, "block_output", tokens)
