import json

import pytest
from numsym.experiments.strength_value import run

from numsym.circuits.strength_value import KINDS
from numsym.errors import InvalidArgumentError

TINY = [
    "experiment=strength_value", "device=cpu", "experiment.trials=20", "tasks.arguments.counts=[1,4]",
    "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=8", "tasks.model.num_layers=1", "tasks.model.num_heads=2",
    "tasks.training.steps=2", "tasks.training.batch_size=8",
]  # fmt: skip


def test_a_run_trains_splits_and_draws_and_takes_a_model_that_is_there(composed, tmp_path):
    found = run(composed(*TINY), tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["strength"]) == set(KINDS)
    assert results["error"] < 1e-4
    assert results["strength"]["response"] == found.strength()["response"].tolist()
    assert (tmp_path / "run" / "strength_value.png").stat().st_size > 10_000
    path = f"experiment.model_path={tmp_path / 'run' / 'model'}"
    again = run(composed(*TINY, path), tmp_path / "again")
    assert again.strength()["response"].equal(found.strength()["response"])
    assert not (tmp_path / "again" / "model").exists()


def test_recurrent_models_are_refused_before_anything_is_written(composed, tmp_path):
    with pytest.raises(InvalidArgumentError, match="tasks='multi_object' is not allowed here"):
        run(composed("experiment=strength_value", "tasks=multi_object"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
