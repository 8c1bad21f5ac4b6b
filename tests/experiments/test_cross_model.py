import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.cross_model import run

TINY = [
    "experiment=cross_model", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "~experiment.networks.gru-1",
]  # fmt: skip


def test_each_two_networks_are_aligned_both_ways_and_not_twice(composed, tmp_path, monkeypatch):
    config = composed(*TINY)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numsym.plots.cross_model.across", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "across").rglob("*.json")}
    found = run(config, tmp_path / "run")
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert [tuple(one["names"]) for one in found] == [("gru-0", "lstm"), ("gru-0", "single"), ("lstm", "single")]
    assert set(found[1]["iia"]) == {"gru-0->gru-0", "single->gru-0", "gru-0->single", "single->single"}
    assert set(found[1]["controls"]) == {"floor", "permuted", "untrained"}
    cells = {p.parent.name: json.loads(p.read_text())["cell"] for p in (tmp_path / "run").glob("*/config.json")}
    assert cells == {"gru-0": "gru", "lstm": "lstm", "single": "gru"}
    sizes = {p.parent.name: json.loads(p.read_text())["vocab_size"] for p in (tmp_path / "run").glob("*/config.json")}
    assert sizes["single"] < sizes["gru-0"]
    assert json.loads((tmp_path / "run" / "results.json").read_text())["across"] == found
    assert (tmp_path / "run" / "across.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    for change in ("experiment.variable=counts", "+experiment.networks.single.modle=x", "experiment.program=down"):
        with pytest.raises(InvalidArgumentError):
            run(composed(*TINY, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
