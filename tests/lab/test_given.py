"""What a study is given, from a configuration as the command composes it."""

import pytest
import torch

from numsym import recipes
from numsym.alignment import Hypothesis
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.given import TRAINING, Given
from numsym.lab.run import Run
from numsym.run import NO_RUN
from numsym.storage import read_json
from numsym.studies import align, cross_model, graded, markov


@pytest.fixture
def given(composed):
    def make(*overrides, run=NO_RUN, **options):
        return Given(composed(*overrides), run, **options)

    return make


def test_arguments_are_what_the_configuration_says(given):
    made = given("search.max_steps=3", "pairs.train=5", "seed=2", rehearsal=True)
    arguments = made.arguments(align)
    assert set(arguments) == {
        "model",
        "task",
        "hypotheses",
        "site",
        "search",
        "pairs",
        "positions",
        "controls",
        "engine",
    }
    assert (arguments["search"].max_steps, arguments["pairs"].train, arguments["engine"]) == (3, 5, "auto")
    assert arguments["hypotheses"]["laf"] == Hypothesis("up_down", "count", "linear", None, 2)
    assert (str(arguments["site"]), arguments["controls"]) == ("state:0", True)
    own = given("experiment=graded", "experiment.measured=7", "seed=3", rehearsal=True).arguments(graded)
    assert (own["measured"], own["seed"], own["controls"]) == (7, 3, ("floor",))


def test_positions_are_tokens_or_values(given, composed):
    found = {
        text: given(f"positions={text}", rehearsal=True).arguments(align)["positions"]
        for text in ("null", "[2,last]", "{phase: 1, count: [1, 10]}")
    }
    assert list(found.values()) == [None, [2, "last"], {"phase": 1, "count": (1, 10)}]
    config = {**composed(), "positions": [2], "experiment": {"name": "markov", "networks": {}}}
    with pytest.raises(
        InvalidArgumentError, match=r"positions=\[2\] is not allowed with experiment=markov: it has none"
    ):
        Given(config, NO_RUN, rehearsal=True).arguments(markov)


def test_some_of_a_studys_own_networks_are_named(composed):
    def arguments(networks):
        config = {**composed(), "experiment": {"name": "markov", "networks": networks}}
        return Given(config, NO_RUN, rehearsal=True).arguments(markov)

    made = arguments(["transformer_1", "gru"])
    assert list(made["models"]) == list(made["networks"]) == ["transformer_1", "gru"]
    assert made["models"]["gru"].config.cell == "gru"
    assert made["networks"]["gru"]["training"]["steps"] == 5000
    with pytest.raises(UnknownNameError, match="unknown network 'gpt': choose one of gru, lstm, transformer_1"):
        arguments(["gpt"])


def test_variables_and_functions_make_hypotheses(given):
    one = given("variable=phase", "interventions=low_rank", "subspace_dim=8").hypotheses
    assert one == {"low_rank": Hypothesis("up_down", "phase", "low_rank", 8, 0)}
    several = given(
        "variable=[count,up_up.demo_count,ctx_distr.value@embeddings]", "interventions=[das,laf]"
    ).hypotheses
    assert list(several) == [f"{v}_{f}" for v in ("count", "demo_count", "value") for f in ("das", "laf")]
    assert several["value_laf"] == Hypothesis("ctx_distr", "value", "linear", None, 0, "embeddings")
    assert given("program=up_up", "interventions=das").hypotheses["das"].variable is None
    assert given("interventions.laf.search.subspace_dim=4").hypotheses["laf"].subspace_dim == 4
    assert given("tasks=parity").hypotheses["das"].variable == "parity"


@pytest.mark.parametrize("twice", ["[count,count]", "[up_down.phase,up_up.phase]"])
def test_a_variable_that_is_asked_for_twice_is_refused_instead_of_lost(given, twice):
    with pytest.raises(InvalidArgumentError, match=r"is in it twice; give each in a run of its own"):
        _ = given(f"variable={twice}", "interventions=das").hypotheses


def test_a_model_is_trained_once_and_then_found(given, tmp_path):
    first, again = (given(run=Run(tmp_path / "run", track=False, quiet=True)).model for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    other = given("seed=1").model
    assert not torch.equal(other.embed.weight, first.embed.weight)
    wider = given(run=Run(tmp_path / "run", track=False, quiet=True)).make(hidden_size=6)
    assert wider.config.hidden_size == 6
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"model", "model_hidden_size_6"}


def test_networks_are_trained_by_their_own_training_or_the_recipes_or_read(composed, tmp_path):
    def models(run=NO_RUN, **networks):
        config = composed()
        return Given({**config, "experiment": {"name": "markov", "networks": networks}}, run).models

    wanted = {"one": {"model": {"cell": "lstm", "hidden_size": 4}, "training": {"steps": 2}}, "two": {"model": {}}}
    found = models(Run(tmp_path / "run", track=False, quiet=True), **wanted)
    assert [model.config.cell for model in found.values()] == ["lstm", "gru"]
    for name, steps in (("one", 2), ("two", 30)):
        assert read_json(tmp_path / "run" / "models" / name / "training.json")["log"]["steps"] == steps
    path = str(tmp_path / "run" / "models" / "one")
    taken = models(taken={"path": path})["taken"]
    assert torch.equal(taken.embed.weight, found["one"].embed.weight)
    for entry in ({}, {"training": {"steps": 2}}, {"path": path, "model": {}}):
        with pytest.raises(InvalidArgumentError, match=r"networks.odd=.* is not allowed: give the path of a saved"):
            models(odd=entry)
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        models(odd={"path": "./nowhere"})


def test_networks_differ_from_the_recipe_in_what_is_said_of_each(given, tmp_path):
    options = ("experiment=cross_model", "+experiment.networks.lstm.model.hidden_size=6", "~experiment.networks.gru-1")
    made = given(*options, run=Run(tmp_path / "run", track=False, quiet=True))
    arguments = made.arguments(cross_model)
    assert arguments["hypotheses"] == {"laf": Hypothesis("up_down", "count", "linear", None, 0)}
    assert (arguments["search"].learning_rate, arguments["pairs"].train) == (0.02, 100)
    sides = {side.name: side for side in arguments["sides"]}
    assert (
        list(sides)
        == ["gru-0", "lstm", "single"]
        == [path.name for path in sorted((tmp_path / "run").glob("*")) if path.is_dir()]
    )
    shapes = {name: (side.model.config.cell, side.model.config.hidden_size) for name, side in sides.items()}
    assert shapes == {"gru-0": ("gru", 10), "lstm": ("lstm", 6), "single": ("gru", 10)}
    assert sides["single"].task.name == "single_object"
    assert sides["single"].model.config.vocab_size < sides["gru-0"].model.config.vocab_size
    with pytest.raises(UnknownNameError, match="unknown key of a network 'modle': choose one of model, seed, tasks"):
        given("experiment=cross_model", "+experiment.networks.single.modle=x").arguments(cross_model)


def test_networks_are_given_whole_or_by_name_where_the_decorator_names_them(composed):
    def sides(networks):
        config = {**composed("experiment=cross_model"), "experiment": {"name": "cross_model", "networks": networks}}
        return Given(config, NO_RUN, rehearsal=True).arguments(cross_model)["sides"]

    assert [(side.name, side.model.config.cell) for side in sides(["lstm", "gru-1"])] == [
        ("lstm", "lstm"),
        ("gru-1", "gru"),
    ]
    assert [side.name for side in sides({"a": {"seed": 0}, "b": {"seed": 1}})] == ["a", "b"]
    with pytest.raises(UnknownNameError, match="unknown network 'x': choose one of gru-0, gru-1, lstm, single"):
        sides(["gru-0", "x"])
    with pytest.raises(InvalidArgumentError, match="networks=3 is not allowed: give networks by name"):
        sides(3)


def test_in_a_rehearsal_nothing_is_trained(given):
    made = given(rehearsal=True)
    torch.manual_seed(0)
    assert torch.equal(made.model.embed.weight, made.untrained.embed.weight)


def test_a_named_model_is_taken_as_it_is_and_what_it_can_do_is_said(given, tmp_path):
    model = given().model
    model.save_pretrained(tmp_path / "model")
    run = Run(tmp_path / "run", track=False, quiet=True)
    taken = given(f"model={tmp_path / 'model'}", run=run)
    assert torch.equal(taken.arguments(align)["model"].embed.weight, model.embed.weight)
    assert 0 <= run._notes["evaluation"]["accuracy"] <= 1
    with pytest.raises(InvalidArgumentError, match=r"model='\./nowhere' is not allowed: there is no such folder"):
        _ = given("model=./nowhere").model
    with pytest.raises(InvalidArgumentError, match="model=null is not allowed with tasks=addition_prompts"):
        _ = given("tasks=addition_prompts").task


def test_place_and_device_come_from_the_configuration(given):
    assert str(given("site=state_1")._standard("site", "state_1")) == "state_1:0"
    assert str(given("tasks=multi_object_transformer")._standard("site", None)).startswith("block_output")
    for name in ("gpu", "cuda:99"):
        with pytest.raises(InvalidArgumentError, match=f"device='{name}' is not allowed: there is none here"):
            _ = given(f"device={name}").device


def test_a_recipe_of_another_kind_of_training_is_refused(given):
    with pytest.raises(InvalidArgumentError) as refused:
        _ = given("tasks=modular_addition").model
    said = str(refused.value)
    assert said.startswith("tasks='modular_addition' is not allowed in this experiment: its training has betas,")
    allowed = said.rsplit("choose one of ", 1)[1].split(", ")
    assert {"addition", "multi_object", "parity"} <= set(allowed)
    for name in allowed:
        assert set(recipes.read("tasks", name).get("training") or ()) <= TRAINING
    with pytest.raises(InvalidArgumentError, match="steps=0 is not allowed"):
        _ = given("tasks.training.steps=0").model


def test_a_baseline_is_named_as_a_function_is(given):
    found = given("interventions=[laf,pca,random,sae]", "interventions.sae.search.dictionary=one.npz").hypotheses
    assert [one.alignment for one in found.values()] == ["linear", "pca", "random", "sae"]
    assert [one.dictionary for one in found.values()] == [None, None, None, "one.npz"]
