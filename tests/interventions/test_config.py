import pytest
import torch

from numsym import recipes
from numsym._pyvene import locations, pv
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.interventions import LinearAlignmentIntervention, load_config
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM


@pytest.mark.parametrize("path", sorted((recipes.root() / "interventions").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_a_pyvene_config_that_runs(path, generator):
    config = load_config(path.stem)
    assert isinstance(config, pv.IntervenableConfig)
    recurrent = config.representations[0].component == "state"
    model = (
        RecurrentLM(RecurrentConfig(hidden_size=16))
        if recurrent
        else TransformerLM(TransformerConfig(hidden_size=16, num_heads=2, num_layers=1))
    )
    base, source = torch.randint(9, (2, 3, 5), generator=generator)
    at = torch.tensor([1, 2, 3])
    intervenable = pv.IntervenableModel(config, model)
    assert intervenable({"input_ids": base}, [{"input_ids": source}], locations(at, at))[1].logits.shape == (3, 5, 9)


def test_a_mapping_is_a_recipe_too():
    kind = "numsym.interventions.LinearAlignmentIntervention"
    config = load_config({"representations": [{"component": "state", "layer": 1, "intervention_type": kind}]})
    assert config.representations[0].layer == 1
    assert config.intervention_types == [LinearAlignmentIntervention]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "representations is empty, which is not allowed"),
        ({"representations": [{"layers": 1}]}, "representations has layers, which is not allowed: pyvene's fields are"),
        ({"representations": [{"intervention_type": "os.system"}]}, "unknown intervention_type 'os.system'"),
    ],
)
def test_bad_recipes_are_refused(recipe, message):
    with pytest.raises(InvalidArgumentError, match=message):
        load_config(recipe)


def test_unknown_recipes_are_listed():
    with pytest.raises(UnknownNameError, match="unknown recipe in interventions 'nothing': choose"):
        load_config("nothing")
