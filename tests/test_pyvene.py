import subprocess
import sys

import pytest
import torch
from torch import nn
from transformers import PretrainedConfig

from numsym._pyvene import component_module, component_width, components_of, locations, pv, resolve_type
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


def test_unknown_places_are_listed():
    model = RecurrentLM(RecurrentConfig(num_layers=2))
    with pytest.raises(UnknownNameError, match="unknown component of RecurrentLM 'stat': choose one of state, state_1"):
        component_module(model, "stat")
    with pytest.raises(UnknownNameError, match="layer=2 is not allowed: RecurrentLM has no 'state' there"):
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
