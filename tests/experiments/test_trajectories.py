import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.trajectories import run

TINY = [
    "experiment=trajectories", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "experiment.trials=50",
]  # fmt: skip


def test_paths_are_drawn_and_written(composed, tmp_path):
    found = run(composed(*TINY), tmp_path / "run")
    assert set(found.paths) == {1, 2, 3, 4}
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["trajectories"] == json.loads(json.dumps(found.to_dict()))
    assert (tmp_path / "run" / "trajectories.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"experiment.components=9 is not allowed"):
        run(composed(*TINY, "experiment.components=9"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
