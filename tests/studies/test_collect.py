import math
from importlib.metadata import version

import pytest
from pyarrow import parquet

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.run import Run as Place
from numsym.lab.run import write_failure
from numsym.shares import Mean
from numsym.storage import write_json
from numsym.studies import collect
from numsym.studies.collect import Run, cell, find, gathered, to_parquet

SHARE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}


def share(value):
    return {**SHARE, "value": value}


def alignment(iia, **controls):
    return {
        "program": "up_down", "variables": ["count"], "alignment": "linear", "subspace_dim": 4, "steps": 10,
        "test": {"iia": share(iia)}, "held_out": None, "free_running": share(iia), "tokens_off": 0.5,
        "converged": iia > 0.9, "controls": {name: share(value) for name, value in controls.items()},
    }  # fmt: skip


def config(seed=0, width=8, **rest):
    return {
        "seed": seed,
        "tasks": {"name": "multi_object", "model": {"hidden_size": width}},
        "wandb": {"tags": []},
        **rest,
    }


@pytest.fixture
def make(finished):
    def write(folder, iia, seed=0, width=8, **rest):
        training = {"log": {"steps": 100}, "evaluation": {"accuracy": 1.0, "held_out": 0.9}}
        found = {"training": training, "alignments": {"laf": alignment(iia, floor=0.1)}}
        finished(folder, config(seed, width, **rest), found)

    return write


@pytest.fixture
def sweep(make, tmp_path):
    for seed, iia in enumerate((0.8, 0.9, 1.0)):
        make(tmp_path / "a" / f"seed_{seed}", iia, seed)
        make(tmp_path / "b" / f"seed_{seed}", iia / 2, seed, width=16)
    return tmp_path


def test_means_are_over_seeds_and_nothing_else(sweep):
    table = gathered(find([sweep]))
    assert table.by == ("tasks.model.hidden_size",)
    assert [(row["tasks.model.hidden_size"], row["recipe"], row["n"]) for row in table.means] == [
        (8, "laf", 3),
        (16, "laf", 3),
    ]
    mean = table.means[0]["iia"]
    assert (mean.value, mean.n) == (pytest.approx(0.9), 3)
    # t of 2 degrees of freedom is 4.303; the standard deviation is 0.1.
    assert mean.high - mean.value == pytest.approx(4.302652729749462 * 0.1 / math.sqrt(3))
    assert table.means[0]["floor"].value == pytest.approx(0.1)
    assert table.means[0]["k"] == 4
    assert table.means[0]["heldout_iia"] is None
    assert len(table.runs) == 6
    assert table.without_results == []
    assert (table.also, table.mixed) == ({}, [])


def test_different_configurations_are_not_averaged_in_silence(sweep):
    with pytest.raises(InvalidArgumentError, match=r"tasks\.model\.hidden_size is 8, 16.*allow_mixed=true"):
        gathered(find([sweep]), by=["tasks.name"])
    mixed = gathered(find([sweep]), by=["tasks.name"], allow_mixed=True)
    assert [row["n"] for row in mixed.means] == [6]
    assert mixed.mixed == ["tasks.model.hidden_size is 8, 16"]
    with pytest.raises(
        UnknownNameError, match=r"unknown entry in by 'width': choose one of .*tasks\.model\.hidden_size"
    ):
        gathered(find([sweep]), by=["width"])


def test_what_goes_along_with_a_group_is_said(make, tmp_path):
    for seed in (0, 1):
        make(tmp_path / f"a{seed}", 0.9, seed, network="small", search={"max_steps": 10})
        make(tmp_path / f"b{seed}", 0.9, seed, width=16, network="large", search={"max_steps": 20})
    table = gathered(find([tmp_path]), by=["network"])
    assert table.also == {"tasks.model.hidden_size": [8, 16], "search.max_steps": [10, 20]}
    assert gathered(find([tmp_path])).by == ("network",)


def test_different_versions_are_refused(sweep):
    write_json(sweep / "b" / "seed_0" / "versions.json", {"numsym": "0.0.1", "torch": "2.0"})
    with pytest.raises(
        InvalidArgumentError,
        match=rf"versions of numsym are 0\.0\.1, {version('numsym')}; versions of python are .*, unknown",
    ):
        gathered(find([sweep]))
    assert gathered(find([sweep]), allow_mixed=True).mixed[0] == f"versions of numsym are 0.0.1, {version('numsym')}"


def test_a_seed_counts_once(make, sweep):
    make(sweep / "again", 0.3, seed=1)
    with pytest.raises(InvalidArgumentError, match=r"seed 1 of one configuration is in .*a/seed_1 and in .*again"):
        gathered(find([sweep]))


def test_failed_and_unfinished_runs_are_rows_that_say_why(finished, sweep):
    write_failure(sweep / "c", config(7), ValueError("seed=7 is not allowed"))
    finished(sweep / "d", config(8), None)
    table = gathered(find([sweep]))
    lost = {row["seed"]: (row["status"], row["reason"]) for row in table.without_results}
    assert lost[7] == ("failed", "ValueError: seed=7 is not allowed")
    assert lost[8][0] == "unfinished"
    assert "no results.json" in lost[8][1]
    assert [row["n"] for row in table.means] == [3, 3]


def test_only_runs_are_found(finished, sweep):
    reader = {"seed": 0, "experiment": {"runs": [str(sweep)]}}
    finished(sweep / "table", reader, {"groups": 2})
    (sweep / "a" / "seed_0" / "alignments").mkdir()
    (sweep / "a" / "seed_0" / "alignments" / "config.yaml").write_text("x: 1")
    assert len(find([sweep])) == 6
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        find([sweep / "nowhere"])
    (sweep / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match="hold no run folder"):
        find([sweep / "empty"])


def test_other_experiments_give_their_plain_numbers(finished, tmp_path):
    found = {"kappa": {"2": 58.0}, "n": 340, "verdict": "yes", "list": [1, 2]}
    finished(tmp_path / "run", config(), found)
    (run,) = find([tmp_path])
    assert isinstance(run, Run)
    assert run.rows() == [{"kappa.2": 58.0, "n": 340}]


@pytest.fixture
def runs(finished, tmp_path):
    training = {"log": {"steps": 100}, "evaluation": {"accuracy": 1.0, "held_out": 0.9}}
    for seed, iia in enumerate((0.97, 0.99)):
        share = {"value": iia, "low": 0.9, "high": 1.0, "n": 100}
        found = {
            "program": "up_down", "variables": ["count"], "alignment": "linear", "subspace_dim": 4, "steps": 10,
            "test": {"iia": share}, "held_out": {"iia": share}, "free_running": None, "tokens_off": None,
            "converged": True, "controls": {"floor": share},
        }  # fmt: skip
        settings, results = (
            {"seed": seed, "network": "gru_20"},
            {"training": training, "alignments": {"count_laf": found}},
        )
        finished(tmp_path / "runs" / f"seed_{seed}", settings, results)
    write_failure(tmp_path / "runs" / "seed_2", {"seed": 2, "network": "gru_20"}, MemoryError("no room"))
    return tmp_path / "runs"


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


def test_columns_without_a_common_type_are_text(tmp_path):
    to_parquet([{"a": 1, "b": [1]}, {"a": "x", "b": None}], tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == [{"a": "1", "b": [1]}, {"a": "x", "b": None}]


def test_cells():
    assert cell("iia", Mean(0.98, 0.95, 1.01, 3), 3) == "98 [95, 100]"
    assert cell("steps", Mean(850.0, float("nan"), float("nan"), 1), 3) == "850 (1)"
    assert cell("steps", Mean(1000.0, 999.6, 12345.6, 3), 3) == "1000 [1000, 12346]"
    assert cell("recipe", "laf", 3) == "laf"


def test_a_file_that_cannot_be_read_is_a_row_that_says_so(runs, tmp_path):
    (runs / "seed_1" / "results.json").write_text('{"training": ')
    table = collected(runs, tmp_path / "out", by=("network",))
    reasons = {row["status"]: row["reason"] for row in table.without_results}
    assert reasons["unreadable"].startswith("results.json cannot be read: Expecting value")
    assert set(reasons) == {"failed", "unreadable"}


def test_runs_with_other_threads_are_not_one_mean_unless_it_is_asked_for(sweep):
    for seed, threads in enumerate((1, 1, 2)):
        write_json(sweep / "a" / f"seed_{seed}" / "started.json", {"machine": {"threads": threads, "blas": "mkl"}})
    with pytest.raises(InvalidArgumentError, match=r"runs are mixed.*threads are 1, 2 in one mean"):
        gathered(find([sweep]))
    assert gathered(find([sweep]), allow_mixed=True).mixed == ["threads are 1, 2 in one mean"]


def test_a_finished_run_that_lost_its_configuration_is_a_row_that_says_so(sweep):
    (sweep / "a" / "seed_0" / "config.yaml").unlink()
    rows = gathered(find([sweep])).without_results
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("unreadable", "no config.yaml: what was asked is not known")
    ]
