import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.markov import run, tables

TINY = [
    "experiment=markov", "device=cpu", "experiment.pairs=40", "tasks.arguments.counts=[1,4]",
    "tasks.arguments.held_out=[3]", "~experiment.models",
    "+experiment.models={gru: {model: {cell: gru, hidden_size: 6}, training: {steps: 2, batch_size: 8}}, "
    "attention: {model: {architecture: transformer, hidden_size: 8, num_layers: 2, num_heads: 2}, "
    "training: {steps: 2, batch_size: 8}}}",
]  # fmt: skip


def test_a_run_tests_each_network_once_and_goes_on(composed, tmp_path, monkeypatch):
    config = composed(*TINY)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numsym.experiments.markov.rows", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.*") if path.parent.name != "run"}
    found = run(config, tmp_path / "run")
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert json.loads((tmp_path / "run" / "results.json").read_text())["models"] == found
    assert list(found["gru"]["following"]) == ["state:0"]
    sites = ["block_input:0", "block_output:0", "block_output:1", "all layers"]
    assert list(found["attention"]["following"]) == sites
    assert found["gru"]["dependence"]["alike"]["score"] == pytest.approx(1, abs=1e-3)
    shares = found["attention"]["following"]["all layers"]["alike"]
    kinds = ("source", "base", "neither", "both")
    assert sum(shares[kind]["value"] for kind in kinds) == pytest.approx(1)
    assert [table.row_count for table in tables(found)] == [5, 2]
    # A trained network can be taken from where it lies.
    taken = {"path": str(tmp_path / "run" / "models" / "gru")}
    config["experiment"]["models"] = {"taken": taken}
    assert run(config, tmp_path / "other")["taken"] == found["gru"]


def test_a_network_without_a_source_is_refused_before_anything_is_written(composed, tmp_path):
    config = composed(*TINY)
    for entry, message in (
        ({}, r"models.gru=\{\} is not allowed: give the path of a saved model, or model and training"),
        ({"path": "nowhere"}, "models.gru.path='nowhere' is not allowed: there is no such folder"),
    ):
        config["experiment"]["models"] = {"gru": entry}
        with pytest.raises(InvalidArgumentError, match=message):
            run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
