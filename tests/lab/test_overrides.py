import pytest

from numsym.errors import InvalidArgumentError
from numsym.lab.overrides import check

KNOWN = {"tasks": ["mod", "round"], "interventions": ["das", "laf"], "network": ["gru_20"], "launch": ["ray"]}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("tasks=nope", "tasks='nope' is not allowed: choose one of mod, round"),
        ("tasks=mod,nope", "tasks='nope' is not allowed"),
        ("tasks=choice(round, nope)", "tasks='nope' is not allowed"),
        ("interventions=[das,'nope']", "interventions='nope' is not allowed: choose one of das, laf"),
        ("interventions=[das],[laf,nope]", "interventions='nope' is not allowed"),
        ("network=nope", "network='nope' is not allowed: choose one of gru_20"),
        ("+network=nope", "network='nope' is not allowed"),
    ],
)
def test_an_unknown_recipe_is_refused_with_those_there_are(argument, message):
    with pytest.raises(InvalidArgumentError, match=message.replace("'", ".")):
        check(["-m", argument, "seed=1"], KNOWN)


@pytest.mark.parametrize(
    "arguments",
    [
        ["tasks=mod,round", "interventions=[das,laf]", "+network=gru_20", "launch=null", "-m"],
        ["tasks=mod.yaml", "seed=0,1", "~interventions", "tasks.model.cell=nope", "~tasks.search"],
        ["tasks=glob(*)", "tasks=${other}"],
        ["--config-dir=mine", "tasks=own"],
        ["hydra.searchpath=[file://mine]", "tasks=own"],
        ["tasks=[not", "--help"],  # Hydra says what it cannot read
    ],
)
def test_the_rest_is_left_to_hydra(arguments):
    check(arguments, KNOWN)
