import pytest
from pyarrow import parquet

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run as Place
from numsym.studies import collect


def collected(runs, folder, **more):
    return collect(runs=(str(runs),), run=Place(folder, track=False, quiet=True), **more)


def test_tables_are_written_and_read_again(runs, tmp_path):
    collected(runs, tmp_path / "out")
    rows = parquet.read_table(tmp_path / "out" / "table" / "runs.parquet").to_pylist()
    assert [(row["seed"], row["status"], row["iia"]) for row in rows] == [
        (0, "finished", 0.97), (1, "finished", 0.99), (2, "failed", None),
    ]  # fmt: skip
    assert rows[2]["reason"] == "MemoryError: no room"
    (mean,) = parquet.read_table(tmp_path / "out" / "table" / "means.parquet").to_pylist()
    assert (mean["recipe"], mean["iia_n"], mean["n"]) == ("count_laf", 2, 2)
    assert mean["iia"] == pytest.approx(0.98)
    assert mean["iia_low"] < 0.97
    text = (tmp_path / "out" / "table" / "means.md").read_text()
    head, _, line = text.splitlines()[:3]
    assert head.startswith("| recipe | program | variable | function | k | iia | heldout iia | floor |")
    assert "| count_laf | up_down | count | linear | 4 | 98 [85.3, 100] |" in line
    assert "free running" not in head
    assert f"- `{runs / 'seed_2'}` failed: MemoryError: no room" in text


def test_it_refuses_before_it_writes(finished, runs, tmp_path):
    finished(runs / "other", {"seed": 3, "network": "gru_20", "controls": False}, {"alignments": {}})
    with pytest.raises(InvalidArgumentError, match="controls is False, None"):
        collected(runs, tmp_path / "out", by=("network",))
    assert not (tmp_path / "out").exists()
    table = collected(runs, tmp_path / "out", by=("network",), allow_mixed=True)
    assert table.mixed
    assert "**Mixed on purpose**: controls is False, None" in (tmp_path / "out" / "table" / "means.md").read_text()


def test_a_file_that_cannot_be_read_is_a_row_that_says_so(runs, tmp_path):
    (runs / "seed_1" / "results.json").write_text('{"training": ')
    table = collected(runs, tmp_path / "out", by=("network",))
    reasons = {row["status"]: row["reason"] for row in table.without_results}
    assert reasons["unreadable"].startswith("results.json cannot be read: Expecting value")
    assert set(reasons) == {"failed", "unreadable"}
