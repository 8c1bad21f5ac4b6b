"""A run whose files were damaged, or that was stopped at any file operation, comes to the result that it had."""

import dataclasses
import itertools
import os
from dataclasses import dataclass
from typing import ClassVar

import pytest

from numsym.lab.folder import finished
from numsym.lab.run import Run
from numsym.results import Result
from numsym.shares import Share
from numsym.storage import damaged, read_json

CONFIG = {"seed": 1, "folder": "a", "tasks": {"name": "multi_object"}}


@dataclass(frozen=True, repr=False)
class Found(Result):
    share: Share
    records: list[dict] = dataclasses.field(default_factory=list)

    name: ClassVar[str] = "found"

    def rows(self):
        return [{"what": "a", "iia": self.share}]


def study(folder):
    """Two parts, and a result of both."""
    with Run(folder, config=CONFIG, track=False, quiet=True) as run:
        asked = {"one": {"value": 1}, "two": {"value": 2}}

        def make(missing):
            return {name: Found(Share.of_counts(asked[name]["value"], 4), [{"step": 1}]) for name in missing}

        parts = run.keep_all(["one", "two"], make, Found.load, asked=asked)
        return run.show(parts["two"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run leaves: file -> content, and its result."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    found = study(folder)
    return found, {name: (folder / name).read_bytes() for name in ("results.json", "metrics.jsonl", "table.csv")}


def check_whole(folder, whole, found):
    assert found == whole[0]
    assert {name: (folder / name).read_bytes() for name in whole[1]} == whole[1]
    assert finished(folder, CONFIG)
    assert [damaged(folder / part) for part in ("one", "two")] == [[], []]


def warnings(caplog):
    return [one.getMessage() for one in caplog.records if one.name in ("numsym.lab.run", "numsym.lab.folder")]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = {"half": lambda c: c[: len(c) // 2], "empty": lambda c: b"", "a flipped bit": flipped, "gone": None}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["result.json", "asked.json", "metrics.jsonl"])
def test_a_damaged_part_is_named_set_aside_and_made_again(file, damage, whole, tmp_path, caplog):
    folder = tmp_path / "run"
    study(folder)
    content = (folder / "two" / file).read_bytes()
    if DAMAGES[damage] is None:
        (folder / "two" / file).unlink()
    else:
        (folder / "two" / file).write_bytes(DAMAGES[damage](content))
    (folder / "results.json").unlink()
    check_whole(folder, whole, study(folder))
    assert warnings(caplog) == [f"{folder / 'two'} is damaged ({file}): set aside as .broken-two, and made again"]
    assert (folder / ".broken-two").is_dir()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"null"])
def test_a_half_written_result_is_no_result(content, whole, tmp_path, caplog):
    folder = tmp_path / "run"
    study(folder)
    for aside in (".broken-results.json", ".broken-results.json-1"):
        (folder / "results.json").write_bytes(content)
        assert not finished(folder, CONFIG)
        assert (folder / aside).read_bytes() == content
        check_whole(folder, whole, study(folder))
    assert len(warnings(caplog)) == 2
    assert "results.json is damaged" in warnings(caplog)[0]


def test_a_run_that_was_stopped_at_any_file_operation_goes_on(whole, tmp_path, monkeypatch):
    """Each rename and replacement in turn, before and after it is done."""
    stopped = 0
    for at, after in ((at, after) for at in itertools.count() for after in (False, True)):
        folder, calls = tmp_path / f"run{at}{after}", itertools.count()

        def stopping(real, calls=calls, at=at, after=after):
            def call(*args, **options):
                if next(calls) != at:
                    return real(*args, **options)
                if after:
                    real(*args, **options)
                raise KeyboardInterrupt

            return call

        with monkeypatch.context() as patched:
            for name in ("rename", "replace"):
                patched.setattr(os, name, stopping(getattr(os, name)))
            try:
                study(folder)
                break
            except KeyboardInterrupt:
                stopped += 1
        check_whole(folder, whole, study(folder))
    assert stopped >= 20


def test_what_an_older_version_left_without_checksums_is_used(whole, tmp_path):
    folder = tmp_path / "run"
    study(folder)
    for part in ("one", "two"):
        (folder / part / "checksums.json").unlink()
    (folder / "results.json").unlink()
    check_whole(folder, whole, study(folder))


def test_checksums_that_cannot_be_read_are_damage(tmp_path):
    folder = tmp_path / "run"
    study(folder)
    (folder / "one" / "checksums.json").write_text("{")
    assert damaged(folder / "one") == ["checksums.json"]
    assert read_json(folder / "two" / "checksums.json").keys() == {"asked.json", "metrics.jsonl", "result.json"}
