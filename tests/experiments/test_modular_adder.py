import json

import pytest

from numsym.circuits import circuit_metrics
from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.experiments.modular_adder import collect, train_and_measure
from numsym.experiments.modular_adder import run as train_from
from numsym.models import ModularTransformer
from numsym.tasks import ModularAddition
from numsym.training.modular import ModularTrainingSettings

QUICK = ModularTrainingSettings(epochs=20, log_every=10)


def run(folder, **options):
    return train_and_measure(folder, task=ModularAddition(p=5), settings=QUICK, hidden_size=8, **options)


def test_a_run_leaves_its_model_history_and_result(tmp_path):
    result = run(tmp_path / "one", alpha=0.5)
    model = ModularTransformer.from_pretrained(tmp_path / "one" / "model")
    assert circuit_metrics(model).circularity == pytest.approx(result["circularity"])
    assert json.loads((tmp_path / "one" / "modular_adder.json").read_text()) == result
    history = json.loads((tmp_path / "one" / "history.json").read_text())
    assert [row["epoch"] for row in history] == [10, 20]
    assert result["epochs"] == 20
    assert result["alpha"] == 0.5
    assert (tmp_path / "one" / "training.png").stat().st_size > 0
    with pytest.raises(RunFolderError, match="exists already"):
        run(tmp_path / "one", alpha=0.5)


def test_runs_are_collected(tmp_path):
    for alpha in (0.0, 1.0):
        run(tmp_path / f"alpha={alpha}", alpha=alpha)
    assert [row["alpha"] for row in collect([tmp_path])] == [0.0, 1.0]
    run(tmp_path / "linear", kind="A")
    with pytest.raises(InvalidArgumentError, match="has no alpha: a linear model has no place here"):
        collect([tmp_path])
    assert len(collect([tmp_path], needs=())) == 3
    with pytest.raises(InvalidArgumentError, match=r"hold no modular_adder.json"):
        collect([tmp_path / "none"])


def test_the_command_trains_from_the_recipe(composed, tmp_path):
    config = composed(
        "experiment=modular_adder",
        "tasks.arguments.p=5",
        "tasks.model.hidden_size=8",
        "tasks.model.alpha=0.25",
        "tasks.training.epochs=20",
        "tasks.training.log_every=10",
        "seed=3",
    )
    result = train_from(config, tmp_path / "run")
    assert (result["p"], result["alpha"], result["seed"], result["epochs"]) == (5, 0.25, 3, 20)
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == result
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    assert collect([tmp_path]) == [result]
    with pytest.raises(InvalidArgumentError, match="tasks='multi_object' is not allowed here: use tasks=modular_add"):
        train_from(composed("experiment=modular_adder", "tasks=multi_object"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_recipe_has_the_settings_of_the_paper(composed):
    recipe = composed("experiment=modular_adder")["tasks"]
    assert ModularTrainingSettings(**recipe["training"] | {"betas": (0.9, 0.98)}) == ModularTrainingSettings()
    assert recipe["training"]["betas"] == [0.9, 0.98]
    assert recipe["arguments"]["p"] == 59
