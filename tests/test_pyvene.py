import subprocess
import sys

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PretrainedConfig, Qwen2Config, Qwen2ForCausalLM

from numsym._pyvene import Intervenable, component_module, component_width, components_of, locations, pv, resolve_type
from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError
from numsym.models import Component, RecurrentConfig, RecurrentLM, register


class Own(nn.Module):
    """A user's model: an embedding, two blocks, a head."""

    def __init__(self):
        super().__init__()
        self.config = PretrainedConfig(hidden_size=8)
        self.embed, self.head = nn.Embedding(5, 8), nn.Linear(8, 5)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    @property
    def device(self):
        return self.head.weight.device

    def forward(self, input_ids):
        x = self.embed(input_ids)
        for block in self.blocks:
            x = x + block(x).relu()
        return {"logits": self.head(x)}


def test_a_models_own_class_is_made_intervenable_and_twice_is_once(generator):
    components = {"block": Component("blocks[%s]", "hidden_size"), "read": Component("head", "hidden_size", "input")}
    with pytest.raises(ModelMismatchError, match=r"register it with numsym.models.register\(cls, components\)"):
        components_of(Own())
    register(Own, components)
    register(Own, components)
    assert components_of(Own()) == ("block", "read")
    with pytest.raises(InvalidArgumentError, match=r"components\['block'\]=.* is registered with"):
        register(Own, {"block": Component("embed", "hidden_size")})
    model, (base, source) = Own(), torch.randint(5, (2, 3, 4), generator=generator)
    assert component_module(model, "block", 1) == (model.blocks[1], "output")
    assert component_width(model, "read") == 8
    config = pv.IntervenableConfig([{"component": "read", "intervention_type": pv.VanillaIntervention}])
    at = torch.tensor([0, 1, 2])
    _, got = pv.IntervenableModel(config, model)({"input_ids": base}, [{"input_ids": source}], locations(at, at))
    want = model(base)["logits"].clone()
    want[torch.arange(3), at] = model(source)["logits"][torch.arange(3), at]
    torch.testing.assert_close(got["logits"], want)


def gpt2():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=9, n_embd=8, n_layer=2, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config).eval()


def vanilla(component, width=None):
    intervention = pv.VanillaIntervention(embed_dim=width)
    return pv.IntervenableConfig([{"component": component, "layer": 0, "unit": "pos", "intervention": intervention}])


def test_a_models_own_hooks_stay_and_work_during_a_run(generator):
    model, (base, source) = gpt2(), torch.randint(9, (2, 3, 4), generator=generator)
    model(base, output_hidden_states=True)  # transformers sets its recording hooks now, once
    seen = []
    hook = model.transformer.h[1].register_forward_hook(lambda *_: seen.append(1))
    hooks = {name: list(module._forward_hooks) for name, module in model.named_modules()}
    at = torch.tensor([0, 1, 2])
    intervenable = Intervenable(vanilla("block_output", 8), model)
    _, output = intervenable(
        {"input_ids": base, "output_hidden_states": True}, [{"input_ids": source}], locations(at, at)
    )
    assert len(seen) == 2
    assert {name: list(module._forward_hooks) for name, module in model.named_modules()} == hooks
    recorded = model(source, output_hidden_states=True).hidden_states
    assert len(recorded) == 3
    rows = torch.arange(3)
    torch.testing.assert_close(output.hidden_states[1][rows, at], recorded[1][rows, at])
    with pytest.raises(IndexError):
        intervenable({"input_ids": base + 9}, [{"input_ids": source}], locations(at, at))
    assert {name: list(module._forward_hooks) for name, module in model.named_modules()} == hooks
    hook.remove()


def test_a_component_that_never_runs_or_has_another_width_is_an_error(generator):
    model, (base, source) = gpt2(), torch.randint(9, (2, 3, 4), generator=generator)
    at = torch.tensor([0, 1, 2])
    with pytest.raises(ModelMismatchError, match=r"'attention_weight' of GPT2LMHeadModel .* its module did not run"):
        Intervenable(vanilla("attention_weight"), model)(
            {"input_ids": base}, [{"input_ids": source}], locations(at, at)
        )
    with pytest.raises(ModelMismatchError, match="it is 8 wide, and the intervention 6"):
        Intervenable(vanilla("mlp_output", 6), model)({"input_ids": base}, [{"input_ids": source}], locations(at, at))
    assert not any(module._forward_hooks for module in model.modules())
    grouped = Qwen2ForCausalLM(Qwen2Config(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(ModelMismatchError, match="'head_value_output' is not allowed for Qwen2ForCausalLM: pyvene's"):
        component_width(grouped, "head_value_output")


def test_unknown_places_are_listed():
    model = RecurrentLM(RecurrentConfig(num_layers=2))
    with pytest.raises(UnknownNameError, match=r"unknown component of RecurrentLM 'stat': choose one of .* its layers"):
        component_module(model, "stat")
    with pytest.raises(
        UnknownNameError, match=r"layer=2 is not allowed: RecurrentLM has no 'state' there.*layers are 0..1"
    ):
        component_module(model, "state", 2)


def test_intervention_types_are_found_by_name_and_nothing_else_is_imported():
    assert resolve_type("pyvene.RotatedSpaceIntervention") is pv.RotatedSpaceIntervention
    assert resolve_type("numsym.interventions.LinearAlignmentIntervention").__name__ == "LinearAlignmentIntervention"
    for name in ("os.system", "pyvene.IntervenableModel", "pyvene.Nothing", "LinearAlignmentIntervention", ""):
        with pytest.raises(UnknownNameError, match=r"unknown intervention_type .* give pyvene.NAME"):
            resolve_type(name)


def test_importing_is_silent_and_light():
    code = "import numsym, numsym.models, sys; print([m for m in ('wandb', 'hydra', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
