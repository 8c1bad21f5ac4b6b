import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.over_training import run

TINY = [
    "experiment=over_training", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "experiment.checkpoints=2", "experiment.hypotheses.count.subspace_dim=4",
]  # fmt: skip


def test_alignments_are_searched_for_at_every_checkpoint_and_not_twice(composed, tmp_path, monkeypatch):
    config = composed(*TINY)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numsym.plots.curves.curves", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.json")}
    curve = run(config, tmp_path / "run")
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert [point.x for point in curve.points] == [0, 10, 30]
    assert curve.names == ["count", "phase"]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["curve"] == json.loads(json.dumps(curve.to_dict()))
    assert results["training"]["log"]["steps"] == 30
    assert (tmp_path / "run" / "over_training.png").stat().st_size > 10_000
    assert len(list((tmp_path / "run" / "alignments").iterdir())) == 6


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    for change in ("experiment.checkpoints=1", "experiment.hypotheses.count.subspace_dim=9"):
        with pytest.raises(InvalidArgumentError):
            run(composed(*TINY, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
