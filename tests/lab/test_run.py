import os

import pytest

from numsym.errors import RunFolderError
from numsym.lab.run import RunFolder, finished, versions
from numsym.storage import read_json, write_json

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
    assert sorted(os.listdir(tmp_path / "run")) == before == ["config.yaml", "results.json", "versions.json"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match="holds something else than a run"):
        RunFolder(tmp_path, CONFIG)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_folder_knows_its_versions_and_is_not_gone_on_with_by_others(tmp_path):
    run = RunFolder(tmp_path / "run", CONFIG)
    assert read_json(run / "versions.json") == versions()
    assert {"numsym", "torch", "pyvene"} <= set(versions())
    RunFolder(tmp_path / "run", CONFIG)
    write_json(run / "versions.json", {**versions(), "torch": "1.0"})
    with pytest.raises(RunFolderError, match=r"holds a run begun with torch 1\.0: give a new folder"):
        RunFolder(tmp_path / "run", CONFIG)


def test_what_a_killed_process_left_half_written_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.yaml.x7").write_text("seed")
    write_json(tmp_path / "run" / "versions.json", versions())
    run = RunFolder(tmp_path / "run", CONFIG)
    assert run.done("config.yaml")
    assert not finished(tmp_path / "run", CONFIG)


def test_finished_is_this_run_and_no_other(tmp_path):
    assert not finished(tmp_path / "run", CONFIG)
    run = RunFolder(tmp_path / "run", CONFIG)
    assert not finished(tmp_path / "run", CONFIG)
    run.finish({})
    assert finished(tmp_path / "run", {**CONFIG, "folder": "b"})
    with pytest.raises(RunFolderError, match="another configuration"):
        finished(tmp_path / "run", {**CONFIG, "seed": 2})
