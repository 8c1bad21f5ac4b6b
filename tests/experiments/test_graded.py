import json

import pytest
from numsym.experiments.graded import run

from numsym.errors import InvalidArgumentError

TINY = [
    "experiment=graded", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "experiment.pairs=400",
]  # fmt: skip


def test_every_alignment_is_graded_on_pairs_that_it_was_not_fitted_to(composed, tmp_path):
    found = run(composed(*TINY), tmp_path / "run")
    assert list(found) == ["LAF", "DAS"]
    assert found["LAF"].n == found["DAS"].n < 400
    assert set(found["LAF"].measurement.by_base_count) == {1, 2, 3, 4}
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["graded"]["LAF"] == json.loads(json.dumps(found["LAF"].to_dict()))
    assert (tmp_path / "run" / "graded.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    for change in ("experiment.pairs=0", "experiment.hypotheses.LAF.variable=counts"):
        with pytest.raises(InvalidArgumentError):
            run(composed(*TINY, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
