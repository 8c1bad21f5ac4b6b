import json
from dataclasses import replace

from numsym.lab.report.told import FILE, Told, explainable, told
from numsym.shares import Share
from numsym.studies.align import Alignments


def test_rows_come_back_with_their_intervals(finished):
    run = Told.read(finished)
    assert [row["recipe"] for row in run.rows] == ["das", "laf"]
    found = json.loads((finished / "results.json").read_text())["alignments"]["laf"]["test"]["iia"]
    assert run.rows[1]["iia"] == Share(**found)
    assert (run.study, run.task, run.seed) == ("align", "multi_object", "0")


def test_a_study_without_a_task_is_not_given_that_of_the_recipes(finished):
    run = Told.read(finished)
    names = {"fourier": "", "routes": "", "compare": "single_object", "modular_adder": "single_object"}
    for study, task in names.items():
        config = {"experiment.name": study, "tasks.name": "single_object"}
        assert replace(run, run=replace(run.run, config=config)).task == task
    config = {"experiment.name": "clock_pizza", "tasks.name": "single_object", "model": "published.pt"}
    assert replace(run, run=replace(run.run, config=config)).task == ""


def test_a_result_that_was_read_again_says_the_same(finished):
    read = Alignments.from_dict(json.loads((finished / "results.json").read_text()))
    written = json.loads((finished / FILE).read_text())
    assert json.loads(json.dumps(told(read, {}))) == {**written, "pictures": {}, "inside": []}


def test_alignments_are_found_wherever_they_lie_in_a_result(finished):
    one = Alignments.from_dict(json.loads((finished / "results.json").read_text()))
    assert explainable(one) == []  # read without their model
    known = {name: replace(a, model=1, explainer=2) for name, a in one.alignments.items()}
    assert [name for name, _ in explainable(Alignments(known))] == ["das", "laf"]


def test_findings_say_whether_controls_are_beaten(finished):
    words = [word for word, _ in Told.read(finished).said["findings"]]
    rows = Told.read(finished).rows
    below = ("floor", "permuted", "untrained")
    wanted = [all(row["iia"].low > row[name].high for name in below) for row in rows]
    assert words == ["above controls" if above else "not above controls" for above in wanted]


def test_runs_without_results_are_read(failed, unfinished):
    assert Told.read(failed).run.status == "failed"
    assert Told.read(failed).rows == []
    assert Told.read(failed).task == "same_object"
    assert Told.read(unfinished).run.status == "unfinished"
    assert Told.read(unfinished).started["date"].endswith("UTC")
