import pytest
import torch

from numsym import recipes
from numsym.errors import InvalidArgumentError
from numsym.experiments.trained import TRAINING, checkpoints_of, device_of, new_model, site_of, trained
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.tasks import load_task
from numsym.training import train

RECIPE = {
    "name": "multi_object",
    "arguments": {"counts": [1, 4], "held_out": [3]},
    "model": {"cell": "gru", "hidden_size": 10},
    "training": {"steps": 30, "batch_size": 32, "learning_rate": 0.01},
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = RunFolder(tmp_path / "run", {"seed": 0})
    with Tracker(tmp_path / "run", {}, project="numsym") as tracker:
        yield folder, load_task(RECIPE), tracker


def test_a_model_is_trained_once_and_then_found(made):
    folder, task, tracker = made
    first, again = (trained(folder, task, RECIPE, 0, torch.device("cpu"), tracker) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    other = trained(folder, task, RECIPE, 1, torch.device("cpu"), tracker, name="other")
    assert not torch.equal(other.embed.weight, first.embed.weight)
    assert {path.name for path in folder.path.iterdir()} >= {"model", "other"}


def test_checkpoints_are_the_training_at_those_steps(made):
    folder, task, tracker = made
    last = trained(folder, task, RECIPE, 0, torch.device("cpu"), tracker, checkpoints=2)
    kept = checkpoints_of(folder, torch.device("cpu"))
    assert list(kept) == [0, 10, 30]
    assert torch.equal(kept[30].embed.weight, last.embed.weight)
    start = kept[0]
    train(start.requires_grad_(True), task, seed=0, **{**RECIPE["training"], "steps": 10})
    assert torch.equal(start.embed.weight, kept[10].embed.weight)


def test_place_and_device_come_from_the_configuration():
    assert str(site_of({"tasks": {}}).component) == "state"
    assert site_of({"tasks": {"site": "block:1"}}).layer == 1
    assert site_of({"site": "state_1", "tasks": {"site": "block:1"}}).component == "state_1"
    assert device_of({"device": "cpu"}).type == "cpu"
    for name in ("gpu", "cuda:99", 3.5):
        with pytest.raises(InvalidArgumentError, match=f"device='?{name}'? is not allowed: there is none here"):
            device_of({"device": name})


def test_a_recipe_of_another_kind_of_training_is_refused():
    recipe = recipes.read("tasks", "modular_addition")
    with pytest.raises(InvalidArgumentError) as refused:
        new_model(load_task(recipe), recipe)
    said = str(refused.value)
    assert said.startswith("tasks='modular_addition' is not allowed in this experiment: its training has betas,")
    allowed = said.rsplit("choose one of ", 1)[1].split(", ")
    assert {"addition", "multi_object", "parity"} <= set(allowed)
    assert "modular_addition" not in allowed
    for name in allowed:
        assert set(recipes.read("tasks", name)["training"]) <= TRAINING
    with pytest.raises(InvalidArgumentError, match="its training has step, where there may be batch_size,"):
        new_model(load_task(RECIPE), {**RECIPE, "training": {"step": 3}})
    with pytest.raises(InvalidArgumentError, match="steps='many' is not allowed: it must be at least 1"):
        new_model(load_task(RECIPE), {**RECIPE, "training": {"steps": "many"}})
