import json

import pytest

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.experiments.compare import run

TINY = [
    "experiment=compare", "experiment.programs=[up_down,up_up]", "device=cpu",
    "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=12", "tasks.training.steps=60", "tasks.training.learning_rate=0.01",
    "pairs.train=150", "pairs.validation=50", "pairs.test=60", "search.max_steps=4", "search.check_every=2",
]  # fmt: skip


def test_a_run_says_which_program_and_goes_on_where_it_was(composed, tmp_path, monkeypatch):
    config = composed(*TINY)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numsym.plots.compare.comparison", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "run")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    found = run(config, tmp_path / "run")
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["comparison"] == json.loads(json.dumps(found.to_dict()))
    assert set(results["alignments"]) == {one.name for one in found.hypotheses}
    assert {one.name.split(".")[0] for one in found.hypotheses} == {"up_down", "up_up"}
    assert len(found.hypotheses) == 7
    assert (tmp_path / "run" / "comparison.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    for change, error in (
        ("experiment.programs=[down]", UnknownNameError),
        ("experiment.rule.accept=3", InvalidArgumentError),
        ("experiment.subspace_dim=99", InvalidArgumentError),
        ("+site=stat", UnknownNameError),
    ):
        with pytest.raises(error):
            run(composed(*TINY, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
