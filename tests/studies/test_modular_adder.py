import json
from dataclasses import asdict

import pytest
import torch
from hydra import compose, initialize_config_dir

from numsym import recipes
from numsym.circuits import circuit_metrics
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.run import Run
from numsym.lab.runner import run_study
from numsym.models import ModularTransformer
from numsym.studies.modular_adder import ModularAdder, modular_adder
from numsym.tasks import ModularAddition, MultiObject
from numsym.training import ModularTrainingSettings, modular
from numsym_command.configs import CONFIGS, store

RECIPE = {"model": {"alpha": 0.5, "hidden_size": 8}, "training": {"epochs": 20, "log_every": 10}}


def composed(*overrides):
    """From overrides, as given after `numsym`, to the plain configuration."""
    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return recipes.plain(
            compose("config", overrides=["folder=unused", "experiment=modular_adder", "device=cpu", *overrides])
        )


def adder(**options):
    return modular_adder(ModularAddition(p=5), RECIPE, **options)


def test_a_run_leaves_its_model_course_and_result_and_is_found_again(tmp_path, monkeypatch):
    found = adder(run=Run(tmp_path / "run", track=False, quiet=True))
    model = ModularTransformer.from_pretrained(tmp_path / "run" / "model")
    assert asdict(circuit_metrics(model)) == pytest.approx(asdict(found.report.metrics))
    assert model.config.alpha == 0.5
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert ModularAdder.from_dict(written).to_dict() == found.to_dict()
    assert written["study"] == "modular_adder"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 20]
    assert {"circularity", "test_accuracy", "loss"} <= set(json.loads(lines[0]))
    assert (tmp_path / "run" / "modular_adder.png").read_bytes().startswith(b"\x89PNG")
    # As if it had been killed after the training: nothing is trained again.
    (tmp_path / "run" / "results.json").unlink()
    monkeypatch.setattr(modular, "fit", None)
    again = adder(run=Run(tmp_path / "run", track=False, quiet=True))
    assert again.to_dict() == found.to_dict()


def test_a_row_says_what_was_trained_and_what_it_is():
    found = adder(seed=3)
    (row,) = found.rows()
    assert (row["p"], row["seed"], row["kind"], row["alpha"], row["hidden_size"]) == (5, 3, "transformer", 0.5, 8)
    assert (row["epochs"], row["first_epoch_right"]) == (20, None)
    assert row["verdict"] == found.report.metrics.verdict
    assert found.tables()[found.title][0].items() <= row.items()
    assert found.title == f"{row['verdict']}: never right on all held-out pairs"
    assert adder(seed=3).rows() == [row] != adder(seed=4).rows()
    right = {"step": 10, "test_accuracy": 1.0}
    found.training.records.insert(0, right)
    assert found.title.endswith("right on all held-out pairs at epoch 10")


def test_a_linear_model_has_no_alpha():
    found = modular_adder(ModularAddition(p=5), {**RECIPE, "model": {"kind": "A", "hidden_size": 8}})
    assert found.network == {"kind": "A", "hidden_size": 8}
    with pytest.raises(InvalidArgumentError, match="model has alpha, which is not allowed: LinearModularConfig has no"):
        modular_adder(ModularAddition(p=5), {"model": {"kind": "A", "alpha": 1.0}})


def test_the_figure_is_the_course():
    found = adder()
    axes = found.figure().axes[0]
    assert len(axes.lines) == 4
    assert list(axes.lines[3].get_ydata()) == [row["circularity"] for row in found.training.records]
    assert axes.get_title("left") == f"addition mod {found.p}: {found.report.metrics.verdict}"


def test_the_command_trains_from_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    config = composed(
        "tasks.arguments.p=5", "tasks.model.hidden_size=8", "tasks.model.alpha=0.25",
        "tasks.training.epochs=20", "tasks.training.log_every=10", "seed=3",
    )  # fmt: skip
    found = run_study("modular_adder", config, tmp_path / "run")
    task = ModularAddition(p=5, seed=3)
    recipe = {"model": {"alpha": 0.25, "hidden_size": 8}, "training": RECIPE["training"]}
    assert found.rows() == modular_adder(task, recipe, seed=3).rows()
    with pytest.raises(InvalidArgumentError, match="tasks='multi_object' is not allowed here: use tasks=modular_add"):
        run_study("modular_adder", composed("tasks=multi_object"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_recipe_has_the_settings_of_the_paper():
    recipe = composed("seed=7")["tasks"]
    assert ModularTrainingSettings(**recipe["training"] | {"betas": (0.9, 0.98)}) == ModularTrainingSettings()
    assert recipe["training"]["betas"] == [0.9, 0.98]
    assert (recipe["arguments"]["p"], recipe["arguments"]["seed"]) == (59, 7)
    assert recipes.read("tasks", "modular_addition")["arguments"]["seed"] == 0


def test_what_is_wrong_is_said_before_the_work(monkeypatch):
    monkeypatch.setattr(modular, "fit", None)
    with pytest.raises(InvalidArgumentError, match="tasks='multi_object' is not allowed here"):
        modular_adder(MultiObject())
    with pytest.raises(InvalidArgumentError, match="p=9 is not allowed: circularity needs an odd prime"):
        modular_adder(ModularAddition(p=9))
    with pytest.raises(UnknownNameError, match="unknown field of ModularTrainingSettings 'epoch'"):
        modular_adder(ModularAddition(p=5), {"training": {"epoch": 3}})


def test_the_seed_of_the_weights_leaves_the_global_generator():
    state = torch.get_rng_state()
    adder()
    assert torch.equal(torch.get_rng_state(), state)
