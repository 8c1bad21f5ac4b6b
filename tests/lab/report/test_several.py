import copy
import os
from dataclasses import replace

import pytest
from scipy.stats import sem, t

from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.lab.report.several import find, several, write
from numsym.lab.report.told import Told


def test_runs_of_two_tasks_are_two_sections(finished, failed, unfinished, tmp_path):
    path = write([finished, tmp_path], out=tmp_path / "all.html")
    written = path.read_text()
    assert "3 runs: 1 finished, 1 failed, 1 unfinished." in written or "3 runs:" in written
    assert written.index("<h2>multi_object</h2>") != written.index("<h2>same_object</h2>")
    assert "<b>failed</b>" in written
    assert "ValueError: counts &lt;b&gt; &amp; held_out" in written
    assert "<b>unfinished</b>" in written
    link = os.path.relpath(finished / "report.html", tmp_path)
    assert f'href="{link}"' in written


def test_two_runs_of_a_task_stand_in_one_table(finished, tmp_path):
    runs = [Told.read(finished), Told.read(finished)]
    written = several(runs, tmp_path)
    assert written.count("align: what was measured</caption>") == 1
    assert written.count("<td>das</td>") >= 2


def with_iia(run, iia, seed):
    """A run as it is read, with another IIA of the rotation and another seed."""
    results = copy.deepcopy(run.run.results)
    results["alignments"]["das"]["test"]["iia"]["value"] = iia
    return replace(run, run=replace(run.run, config={**run.run.config, "seed": seed}, results=results))


def test_runs_that_differ_in_their_seed_have_means(finished, tmp_path):
    run = Told.read(finished)
    written = several([with_iia(run, iia, seed) for seed, iia in enumerate((0.5, 0.6, 0.7))], tmp_path)
    low, high = t.interval(0.95, 2, loc=60, scale=sem([50, 60, 70]))
    assert "align: means over n seeds" in written
    assert f"{low:.1f}, {high:.1f}" in written
    assert "means over n seeds" not in several([run], tmp_path)


def test_one_run_is_written_anew_into_its_folder(finished):
    (finished / "report.html").unlink()
    assert write([finished]) == finished / "report.html"
    assert "<h1>align · multi_object</h1>" in (finished / "report.html").read_text()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "config.yaml").write_text("mine: 1\n")
    with pytest.raises(InvalidArgumentError, match=r"thesis' is not allowed: it is no run folder and holds none"):
        write([tmp_path / "thesis"])
    with pytest.raises(InvalidArgumentError, match=r"nowhere' is not allowed: there is no such folder"):
        find([tmp_path / "nowhere"])
    assert os.listdir(tmp_path / "thesis") == ["config.yaml"]


def test_a_file_of_somebody_elses_is_left_alone(finished, tmp_path):
    (tmp_path / "index.html").write_text("<p>mine</p>")
    with pytest.raises(RunFolderError, match=r"index.html' is there and is not a report"):
        write([finished], out=tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text() == "<p>mine</p>"
