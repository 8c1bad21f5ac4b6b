import math
from importlib.metadata import version

import pytest

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.folder import write_failure
from numsym.storage import write_json
from numsym.studies.collect import find, gathered


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


def test_failed_and_unfinished_runs_are_rows_that_say_why(configured, finished, sweep):
    write_failure(sweep / "c", configured(7), ValueError("seed=7 is not allowed"))
    finished(sweep / "d", configured(8), None)
    table = gathered(find([sweep]))
    lost = {row["seed"]: (row["status"], row["reason"]) for row in table.without_results}
    assert lost[7] == ("failed", "ValueError: seed=7 is not allowed")
    assert lost[8][0] == "unfinished"
    assert "no results.json" in lost[8][1]
    assert [row["n"] for row in table.means] == [3, 3]


def test_runs_with_other_threads_are_not_one_mean_unless_it_is_asked_for(sweep):
    for seed, threads in enumerate((1, 1, 2)):
        write_json(sweep / "a" / f"seed_{seed}" / "started.json", {"machine": {"threads": threads, "blas": "mkl"}})
    with pytest.raises(InvalidArgumentError, match=r"runs are mixed.*threads are 1, 2 in one mean"):
        gathered(find([sweep]))
    assert gathered(find([sweep]), allow_mixed=True).mixed == ["threads are 1, 2 in one mean"]
