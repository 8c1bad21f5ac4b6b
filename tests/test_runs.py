import os

import pytest

from numsym.errors import RunFolderError
from numsym.runs import RunFolder

CONFIG = {"seed": 1, "folder": "a", "tasks": {"name": "multi_object"}}


def test_an_interrupted_run_goes_on_with_the_same_configuration_only(tmp_path):
    first = RunFolder(tmp_path / "run", CONFIG)
    first.add_metrics([{"step": 1}])
    again = RunFolder(tmp_path / "run", {**CONFIG, "folder": "elsewhere"})
    again.add_metrics([{"step": 2}, {"step": 3}])
    assert (again / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    assert not again.done("model")
    with pytest.raises(RunFolderError, match="holds a run with another configuration"):
        RunFolder(tmp_path / "run", {**CONFIG, "seed": 2})


def test_a_finished_run_is_never_touched_again(tmp_path):
    run = RunFolder(tmp_path / "run", CONFIG)
    run.finish({"iia": 1.0})
    assert run.results() == {"iia": 1.0}
    before = sorted(os.listdir(tmp_path / "run"))
    with pytest.raises(RunFolderError, match="holds a finished run: give a new folder"):
        RunFolder(tmp_path / "run", CONFIG)
    assert sorted(os.listdir(tmp_path / "run")) == before == ["config.yaml", "results.json"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match="holds something else than a run"):
        RunFolder(tmp_path, CONFIG)
    assert os.listdir(tmp_path) == ["thesis.tex"]
