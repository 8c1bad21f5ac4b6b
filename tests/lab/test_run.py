"""A run folder as a study's memory: what is kept, what is refused, and what two starts of the same make."""

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import ClassVar

import pytest

from numsym.errors import RunFolderError
from numsym.lab.folder import finished, versions
from numsym.lab.run import Run
from numsym.results import Result
from numsym.shares import Share
from numsym.storage import read_json, write_json

CONFIG = {"seed": 1, "folder": "a", "tasks": {"name": "multi_object"}}


@dataclass(frozen=True, repr=False)
class Found(Result):
    share: Share
    records: list[dict] = dataclasses.field(default_factory=list)

    name: ClassVar[str] = "found"

    def rows(self):
        return [{"what": "a", "iia": self.share}]

    def figure(self):
        from matplotlib.figure import Figure

        return Figure()


def place(tmp_path, config=CONFIG):
    return Run(tmp_path / "run", config=config, track=False, quiet=True)


def study(run, value=3, made=None):
    """Two parts, and a result of both."""

    def make(missing):
        if made is not None:
            made.extend(missing)
        return {name: Found(Share.of_counts(value, 4), [{"step": value}]) for name in missing}

    asked = {"one": {"value": value}, "two": {"value": value}}
    parts = run.keep_all(["one", "two"], make, Found.load, asked=asked)
    return run.show(parts["one"])


def test_a_study_is_its_parts_its_result_and_what_both_can_be_read_from(tmp_path):
    found = study(place(tmp_path))
    folder = tmp_path / "run"
    there = {path for path in os.listdir(folder) if path != "wandb"}
    assert there == {
        "config.yaml", "versions.json", "one", "two", "metrics.jsonl", "results.json", "table.csv", "found.png",
        "started.json", "report.json", "report.html",
    }  # fmt: skip
    assert Found.load(folder / "one") == found
    assert read_json(folder / "one" / "asked.json") == {"value": 3}
    assert read_json(folder / "results.json")["share"]["value"] == 0.75
    assert (folder / "table.csv").read_text().splitlines()[0] == "what,iia,iia_low,iia_high,iia_n"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"stage": "one", "step": 3}, {"stage": "two", "step": 3}]
    assert read_json(folder / "versions.json") == versions()


def test_what_is_there_is_not_made_again(tmp_path):
    run, made = place(tmp_path), []
    run.keep("one", lambda: Found(Share.of_counts(3, 4), [{"step": 3}]), Found.load, asked={"value": 3})
    run.close()
    study(place(tmp_path), made=made)
    assert made == ["two"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.json")}
    study(place(tmp_path), made=made)
    assert made == ["two"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_finished_run_that_is_asked_for_more_says_that_its_results_are_of_before(tmp_path, caplog):
    found = study(place(tmp_path))
    before = read_json(tmp_path / "run" / "results.json")
    place(tmp_path).show(found)
    warned = [one for one in caplog.records if one.name.startswith("numsym")]
    assert not warned
    other = Found(Share.of_counts(1, 4), found.records)
    assert place(tmp_path).show(other) is other
    warned = [one.getMessage() for one in caplog.records if one.name.startswith("numsym")]
    assert warned == ["results.json is left as it is, of what was asked before; to keep this, ask in a new folder"]
    assert read_json(tmp_path / "run" / "results.json") == before


def test_a_part_of_something_else_is_never_taken_for_what_is_asked(tmp_path):
    study(place(tmp_path))
    with pytest.raises(RunFolderError, match=r"one' was made with value=3 \(now 2\): give a new folder"):
        study(place(tmp_path), value=2)


def test_the_course_of_a_run_is_made_from_its_parts(tmp_path):
    run = place(tmp_path)
    for name in ("one", "two"):
        run.within("step1").keep(name, lambda: Found(Share.of_counts(1, 2), [{"step": 1}]), Found.load)
    (tmp_path / "run" / "metrics.jsonl").write_text("what a killed process left\n")
    run.keep("last", lambda: Found(Share.of_counts(1, 2), [{"step": 2}]), Found.load)
    stages = [json.loads(line)["stage"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert stages == ["step1/one", "step1/two", "last"]
    run.close()


def test_another_configuration_or_version_is_refused(tmp_path):
    study(place(tmp_path))
    study(place(tmp_path, {**CONFIG, "folder": "elsewhere"}))
    with pytest.raises(RunFolderError, match="holds a run with another configuration"):
        study(place(tmp_path, {**CONFIG, "seed": 2}))
    with pytest.raises(RunFolderError, match=r"holds a run of the command \(config.yaml\)"):
        study(place(tmp_path, None))
    write_json(tmp_path / "run" / "versions.json", {**versions(), "torch": "1.0"})
    with pytest.raises(RunFolderError, match=r"holds a run begun with torch 1\.0: give a new folder"):
        study(place(tmp_path))


@pytest.mark.parametrize("config", [CONFIG, None])
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, config):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match="holds something else than a run"):
        study(place(tmp_path, config))
    assert os.listdir(tmp_path / "run") == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        study(Run(tmp_path / "file", config=config, track=False, quiet=True))


def test_two_at_once_are_refused(tmp_path):
    run = place(tmp_path)
    run.open()
    lock = tmp_path / "run" / ".lock"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "pid": 1}))
    with pytest.raises(RunFolderError, match="is being written by process 1: wait for it"):
        place(tmp_path).open()
    run.close()


def test_nothing_is_made_before_there_is_something_to_keep(tmp_path):
    with place(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_half_written_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.yaml.numsym-unfinished-ab12_x7z").write_text("seed")
    (tmp_path / "run" / ".one.numsym-unfinished-q1w2e3r4").mkdir()
    write_json(tmp_path / "run" / "versions.json", versions())
    assert study(place(tmp_path)).share.value == 0.75
    assert not {".config.yaml.numsym-unfinished-ab12_x7z", ".one.numsym-unfinished-q1w2e3r4"} & set(
        os.listdir(tmp_path / "run")
    )


def test_a_run_of_the_library_needs_no_configuration(tmp_path):
    study(place(tmp_path, None))
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert study(place(tmp_path, None)).share.value == 0.75


def test_a_curve_that_is_tracked_has_the_name_of_its_part(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("numsym.lab.tracking.Tracker.log", lambda self, group, record: seen.append(group))
    with place(tmp_path) as run:
        for inner in (run, run.within("width8"), run.within("width8").within("step2")):
            with inner.stage("alignment", 1) as stage:
                stage.record("count", {"step": 1, "iia": 0.5})
    assert seen == ["count", "width8/count", "width8/step2/count"]


def test_results_are_there_whatever_becomes_of_the_tracking(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb").write_text("a file where wandb wants a folder")
    study(Run(tmp_path / "run", config=CONFIG, quiet=True))
    assert finished(tmp_path / "run", CONFIG)
    said = [one.getMessage() for one in caplog.records if one.name == "numsym.lab.tracking"]
    assert len(said) == 1
    assert said[0].startswith("wandb: the run is not tracked any more")


def test_a_member_of_a_sweep_has_its_group_and_its_study(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    config = {**CONFIG, "wandb": {"project": "mine", "group": None, "job_type": None}}
    with Run(tmp_path / "run", config=config, group="multirun/mine", job_type="compare", quiet=True) as run:
        run.open()
        told = run.tracker.run
        assert (told.project, told.group, told.job_type, told.name) == ("mine", "multirun/mine", "compare", "run")


def test_a_tracked_run_is_told_to_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with Run(tmp_path / "run", config=CONFIG, quiet=True) as run:
        with run.stage("training", 5) as stage:
            stage.to(3, loss=1.0)
            stage.record("training", {"step": 3, "loss": 1.0})
        study(run)
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


def test_what_a_killed_run_had_not_finished_is_gone_when_it_goes_on(tmp_path):
    (tmp_path / "run" / ".one.numsym-unfinished-abcd1234").mkdir(parents=True)
    study(place(tmp_path))
    assert not (tmp_path / "run" / ".one.numsym-unfinished-abcd1234").exists()


@pytest.mark.parametrize(
    ("study", "model", "heading"),
    [
        ("graded", None, "graded, parity"),
        ("graded", "folder", "graded, parity"),
        ("clock_pizza", None, "clock_pizza, parity"),
        ("clock_pizza", "published.pt", "clock_pizza"),
        ("routes", None, "routes"),
    ],
)
def test_a_picture_names_the_task_only_where_the_study_has_one(tmp_path, study, model, heading):
    config = {"experiment": {"name": study}, "tasks": {"name": "parity"}, "model": model}
    assert Run(tmp_path / "run", config=config, track=False)._heading() == heading
