"""What is refused of a configuration, before anything is made of it."""

import pytest

from numsym import recipes
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.asked import function_of, positions_of
from numsym.lab.runner import run_study


@pytest.mark.parametrize("value", ["last", [], [1.5], {"count": [1, 2, 3]}, {"count": "many"}])
def test_positions_are_tokens_or_values(value):
    with pytest.raises(InvalidArgumentError, match=r"positions=.* is not allowed: give tokens of every trial, such"):
        positions_of(value)


def test_a_recipe_is_one_function():
    two = recipes.read("interventions", "laf")
    two["representations"] *= 2
    with pytest.raises(InvalidArgumentError, match="representations has 2 entries"):
        function_of(two)
    kind = recipes.read("interventions", "laf")
    kind["representations"][0]["intervention_type"] = "pyvene.VanillaIntervention"
    with pytest.raises(InvalidArgumentError, match="VanillaIntervention is not allowed in a search: it learns Rotated"):
        function_of(kind)
    with pytest.raises(
        UnknownNameError, match="unknown key of search 'k': choose one of baseline, condition, dictionary, subspace_dim"
    ):
        function_of({**recipes.read("interventions", "laf"), "search": {"k": 3}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("variable=3", "variable=3 is not allowed: it must be text, a list of texts or None"),
        ("site=3", "site=3 is not allowed: it must be text, a list of texts or None"),
        ("dtype=3", "dtype=3 is not allowed: it must be text or None"),
        ("plugins=3", "plugins=3 is not allowed: it must be a list of texts"),
        ("wandb=3", "wandb=3 is not allowed: it must be a mapping from text to anything or None"),
        ("seed=99999999999999999999", "seed=99999999999999999999 is not allowed: a whole number has at most 64 bits"),
        ("subspace_dim=true", "subspace_dim=True is not allowed: it must be a whole number or None"),
        ("controls=floor", "controls='floor' is not allowed: it must be true or false, a list of texts or None"),
        ("controls=3", "controls=3 is not allowed: it must be true or false, a list of texts or None"),
        ("threads=0", "threads=0 is not allowed: give auto, or a number from 1 on"),
        ("search.learning_rate=inf", "search.learning_rate=inf is not allowed: it must be finite"),
        ("tasks.arguments=3", "tasks.arguments=3 is not allowed: it must be a mapping"),
        ("interventions.das.representations=3", "representations=3 is not allowed: it must be a list of mappings"),
        ("+tasks.argumnets=3", "unknown key of a task recipe 'argumnets'"),
        ("~seed", "missing a required argument: 'seed'"),
    ],
)
def test_what_the_command_is_given_is_refused_as_in_the_library(override, message, composed, tmp_path):
    config = composed(override)
    with pytest.raises(InvalidArgumentError) as raised:
        run_study(config["experiment"]["name"], config, tmp_path / "run")
    assert message in str(raised.value)
    assert not (tmp_path / "run").exists()
