import pytest
from pyarrow import parquet

from numsym.errors import InvalidArgumentError
from numsym.experiments.collect import cell, run, to_parquet
from numsym.lab.run import RunFolder, write_failure
from numsym.shares import Mean


@pytest.fixture
def runs(tmp_path):
    training = {"log": {"steps": 100}, "evaluation": {"accuracy": 1.0, "held_out": 0.9}}
    for seed, iia in enumerate((0.97, 0.99)):
        share = {"value": iia, "low": 0.9, "high": 1.0, "n": 100}
        found = {
            "program": "up_down", "variables": ["count"], "alignment": "linear", "subspace_dim": 4, "steps": 10,
            "test": {"iia": share}, "held_out": {"iia": share}, "free_running": None, "tokens_off": None,
            "converged": True, "controls": {"floor": share},
        }  # fmt: skip
        folder = RunFolder(tmp_path / "runs" / f"seed_{seed}", {"seed": seed, "network": "gru_20"})
        folder.finish({"training": training, "alignments": {"count_laf": found}})
    write_failure(tmp_path / "runs" / "seed_2", {"seed": 2, "network": "gru_20"}, MemoryError("no room"))
    return tmp_path / "runs"


def collected(composed, runs, folder, *more):
    return run(composed("experiment=collect", f"runs=[{runs}]", *more), folder)


def test_tables_are_written_and_read_again(composed, runs, tmp_path):
    collected(composed, runs, tmp_path / "out")
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


def test_it_refuses_before_it_writes(composed, runs, tmp_path):
    RunFolder(runs / "other", {"seed": 3, "network": "gru_20", "controls": False}).finish({"alignments": {}})
    with pytest.raises(InvalidArgumentError, match="controls is False, None"):
        collected(composed, runs, tmp_path / "out", "by=[network]")
    assert not (tmp_path / "out").exists()
    table = collected(composed, runs, tmp_path / "out", "by=[network]", "allow_mixed=true")
    assert table.mixed
    assert "**Mixed on purpose**: controls is False, None" in (tmp_path / "out" / "table" / "means.md").read_text()


def test_columns_without_a_common_type_are_text(tmp_path):
    to_parquet([{"a": 1, "b": [1]}, {"a": "x", "b": None}], tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == [{"a": "1", "b": [1]}, {"a": "x", "b": None}]


def test_cells():
    assert cell("iia", Mean(0.98, 0.95, 1.01, 3), 3) == "98 [95, 100]"
    assert cell("steps", Mean(850.0, float("nan"), float("nan"), 1), 3) == "850 (1)"
    assert cell("steps", Mean(1000.0, 999.6, 12345.6, 3), 3) == "1000 [1000, 12346]"
    assert cell("recipe", "laf", 3) == "laf"
