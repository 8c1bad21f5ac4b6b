import runpy
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import JambaConfig, JambaForCausalLM, OPTConfig, OPTForCausalLM, PretrainedConfig

from numsym._pyvene import component_width, components_of
from numsym.errors import ModelMismatchError
from numsym.models import Component, load, register
from numsym.models.discover import components, layers_of

small = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))["small"]


class Block(nn.Module):
    def __init__(self, width, parts=2):
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(width, width) for _ in range(parts))

    def forward(self, x):
        for part in self.parts:
            x = x + part(x).relu()
        return x, "something else"


class Unknown(nn.Module):
    """A language model of nobody's architecture, whose layers give tuples."""

    def __init__(self, width=12, name="d_model"):
        super().__init__()
        self.config = PretrainedConfig(**{name: width})
        self.trunk = nn.Module()
        self.trunk.steps = nn.ModuleList(Block(width) for _ in range(4))
        self.embed, self.head = nn.Embedding(9, width), nn.Linear(width, 9)

    def forward(self, input_ids):
        x = self.embed(input_ids)
        for step in self.trunk.steps:
            x, _ = step(x)
        return {"logits": self.head(x)}


def test_the_layers_are_the_list_that_the_config_counts_or_the_heaviest():
    assert layers_of(small("mamba"))[0] == "backbone.layers"
    path, layers = layers_of(Unknown())
    assert (path, len(layers)) == ("trunk.steps", 4)


def test_an_unknown_architecture_gets_its_layers():
    model = load(Unknown())
    assert components_of(model) == ("block_input", "block_output")
    assert component_width(model, "block_output") == 12
    # The width is the config's: another instance of the class has its own.
    other = load(Unknown(width=20))
    assert component_width(other, "block_input") == 20


def test_what_the_user_registered_stays():
    class Mine(Unknown):
        pass

    register(Mine, {"step": Component("trunk.steps[%s]", "d_model")})
    assert components_of(load(Mine())) == ("step",)


def test_pyvenes_names_stay_and_what_it_lacks_is_added():
    model = load(small("gpt2"))
    found = components_of(model)
    assert found.index("attention_input") < found.index("embeddings")
    assert component_width(model, "head_attention_value_output") == 8


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("qwen3", {"attention_output": 32, "mlp_output": 32, "head_attention_value_output": 16}),
        ("mamba", {"mixer_output": 32}),
    ],
)
def test_parts_are_found_by_their_usual_names(name, widths):
    model = load(small(name))
    assert {part: component_width(model, part) for part in widths} == widths
    # Four heads of sixteen are 64 wide, which no entry of the config says: only the heads are there.
    assert "attention_value_output" not in components_of(model)


def test_layers_of_several_kinds_and_layers_deep_inside():
    torch.manual_seed(0)
    shape = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    hybrid = JambaConfig(
        **shape, num_key_value_heads=1, intermediate_size=24, num_experts=1, attn_layer_period=2, attn_layer_offset=1
    )
    assert {"mixer_output", "attention_output", "mlp_output"} <= set(components(JambaForCausalLM(hybrid)))
    deep = OPTForCausalLM(OPTConfig(**shape, ffn_dim=24, word_embed_proj_dim=16, max_position_embeddings=32))
    assert components(deep)["block_output"].path == "model.decoder.layers[%s]"


def test_a_model_without_layers_is_named():
    class Other(Unknown):
        pass

    with pytest.raises(ModelMismatchError, match=r"no list of layers.*as a recurrent network.*no recurrence is found"):
        load(Other(name="breadth"))
    with pytest.raises(ModelMismatchError, match="pyvene needs its `config`"):
        components(nn.Linear(2, 2))
    flat = Other()
    del flat.trunk
    with pytest.raises(ModelMismatchError, match="no list of layers is found in it; name its places with numsym"):
        load(flat)
