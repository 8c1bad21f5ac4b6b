"""What a run folder says of itself, whoever wrote it."""

import hashlib
import json

import pytest

from numsym.errors import RunFolderError
from numsym.lab.folder import FAILURE, RESULTS, check, finished, gather, versions, write_failure
from numsym.lab.run import Run
from numsym.storage import read_json, sealed, write_json

CONFIG = {"seed": 1, "folder": "a", "tasks": {"name": "multi_object"}}


@pytest.fixture
def folder(tmp_path):
    """A run that has begun."""
    with Run(tmp_path / "run", config=CONFIG, track=False, quiet=True) as run:
        run.open()
    return tmp_path / "run"


def ended(folder, **said):
    own = {"configuration": hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()}
    write_json(folder / RESULTS, {"study": "found", **own, **said})


def test_finished_is_this_run_and_no_other(folder, tmp_path):
    assert not finished(tmp_path / "nowhere", CONFIG)
    assert not finished(folder, CONFIG)
    ended(folder)
    assert finished(folder, {**CONFIG, "folder": "b"})
    with pytest.raises(RunFolderError, match="another configuration"):
        finished(folder, {**CONFIG, "seed": 2})


def test_a_result_of_another_configuration_is_no_result(folder, caplog):
    ended(folder, configuration="0" * 64)
    assert not finished(folder, CONFIG)
    assert "is damaged (it is not of config.yaml)" in caplog.text
    assert (folder / ".broken-results.json").exists()


def test_a_number_that_changed_is_damage(folder, caplog):
    ended(folder)
    write_json(folder / RESULTS, {**sealed(read_json(folder / RESULTS)), "iia": 0.9})
    assert not finished(folder, CONFIG)
    assert "is damaged (it is not what was written)" in caplog.text


@pytest.mark.parametrize("content", ["", '{"numsym": ', "3"])
def test_versions_that_cannot_be_read_are_named_set_aside_and_written_anew(folder, content, caplog):
    (folder / "versions.json").write_text(content)
    with Run(folder, config=CONFIG, track=False, quiet=True) as run:
        run.open()
    assert "versions.json is damaged" in caplog.text
    assert "set aside as .broken-versions.json" in caplog.text
    assert read_json(folder / "versions.json") == versions()
    assert (folder / ".broken-versions.json").read_text() == content


def test_a_file_on_the_way_to_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"is not allowed: .*/file is a file; give a new folder"):
        check(tmp_path / "file" / "run", None)


def test_why_a_run_failed_is_written(tmp_path):
    write_failure(tmp_path / "run", CONFIG, ValueError("no"))
    said = read_json(tmp_path / "run" / FAILURE)
    assert (said["error"], said["message"], said["config"]) == ("ValueError", "no", CONFIG)


def test_courses_are_those_of_whole_parts_alone(tmp_path):
    for name in ("one", ".broken-one", "wandb/two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps({"stage": name}) + "\n")
    for _ in range(2):
        gather(tmp_path)
        assert (tmp_path / "metrics.jsonl").read_text() == '{"stage": "one"}\n'
