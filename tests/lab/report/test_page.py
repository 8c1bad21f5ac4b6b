"""The page of a run as text; in a browser it is looked at in test_browser.py."""

import re

from numsym.lab.report import page
from numsym.lab.report.told import Told


def test_it_says_what_was_asked_what_came_out_and_how_it_was_made(finished):
    written = (finished / page.PAGE).read_text()
    assert "<h1>align · multi_object</h1>" in written
    for heading in ("What came out", "The numbers", "In pictures", "How it went", "How it was made"):
        assert f"<h2>{heading}</h2>" in written, heading
    assert "hold count of the program up_down as a variable at state:0" in written
    said = Told.read(finished)
    for word, reason in said.said["findings"]:
        assert f"<b>{word}</b>" in written
        assert reason in written
    for name, version in said.run.versions.items():
        assert f"{name} {version}" in written
    assert said.started["date"] in written
    assert "permuted" in written


def test_it_is_whole_and_small(finished):
    written = (finished / page.PAGE).read_text()
    head = re.sub(r"<script.*?</script>", "", written, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!data:|#)', head) == []
    assert "default-src &#x27;none&#x27;" in head
    assert len(written.encode()) < 3_000_000


def test_a_study_without_charts_shows_its_pictures(tmp_path):
    import numsym

    task = numsym.tasks.MultiObject(counts=range(1, 4))
    model = numsym.models.counting_gru(task.vocabulary)
    numsym.trajectories(model, task, run=numsym.Run(tmp_path / "run", track=False, quiet=True))
    written = (tmp_path / "run" / page.PAGE).read_text()
    assert '<img alt="trajectories" src="data:image/png;base64,' in written


def test_a_failed_run_and_an_unfinished_one_are_shown_as_such(failed, unfinished):
    written = page.one(Told.read(failed))
    assert "This run is failed: ValueError: counts &lt;b&gt; &amp; held_out" in written
    assert "Where it failed" in written
    written = page.one(Told.read(unfinished))
    assert "This run is unfinished: no results.json" in written


def test_an_older_run_shows_its_plain_numbers(finished, tmp_path):
    for name in ("results.json", "versions.json"):
        (tmp_path / name).write_text((finished / name).read_text())
    written = page.one(Told.read(tmp_path))
    assert "what was measured" in written
    assert "<h1>align · multi_object</h1>" in written
