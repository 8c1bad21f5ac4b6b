import math

import pytest

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.collection import Run, collect, find
from numsym.lab.run import RunFolder, write_failure
from numsym.storage import write_json

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


def make(folder, iia, seed=0, width=8, **rest):
    run = RunFolder(folder, config(seed, width, **rest))
    training = {"log": {"steps": 100}, "evaluation": {"accuracy": 1.0, "held_out": 0.9}}
    run.finish({"training": training, "alignments": {"laf": alignment(iia, floor=0.1)}})
    return run


@pytest.fixture
def sweep(tmp_path):
    for seed, iia in enumerate((0.8, 0.9, 1.0)):
        make(tmp_path / "a" / f"seed_{seed}", iia, seed)
        make(tmp_path / "b" / f"seed_{seed}", iia / 2, seed, width=16)
    return tmp_path


def test_means_are_over_seeds_and_nothing_else(sweep):
    table = collect(find([sweep]))
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
        collect(find([sweep]), by=["tasks.name"])
    mixed = collect(find([sweep]), by=["tasks.name"], allow_mixed=True)
    assert [row["n"] for row in mixed.means] == [6]
    assert mixed.mixed == ["tasks.model.hidden_size is 8, 16"]
    with pytest.raises(
        UnknownNameError, match=r"unknown entry in by 'width': choose one of .*tasks\.model\.hidden_size"
    ):
        collect(find([sweep]), by=["width"])


def test_what_goes_along_with_a_group_is_said(tmp_path):
    for seed in (0, 1):
        make(tmp_path / f"a{seed}", 0.9, seed, network="small", search={"max_steps": 10})
        make(tmp_path / f"b{seed}", 0.9, seed, width=16, network="large", search={"max_steps": 20})
    table = collect(find([tmp_path]), by=["network"])
    assert table.also == {"tasks.model.hidden_size": [8, 16], "search.max_steps": [10, 20]}
    assert collect(find([tmp_path])).by == ("network",)


def test_different_versions_are_refused(sweep):
    write_json(sweep / "b" / "seed_0" / "versions.json", {"numsym": "0.0.1", "torch": "2.0"})
    with pytest.raises(
        InvalidArgumentError, match=r"versions of numsym are 0\.0\.1, 0\.1\.0; versions of python are .*, unknown"
    ):
        collect(find([sweep]))
    assert collect(find([sweep]), allow_mixed=True).mixed[0] == "versions of numsym are 0.0.1, 0.1.0"


def test_a_seed_counts_once(sweep):
    make(sweep / "again", 0.3, seed=1)
    with pytest.raises(InvalidArgumentError, match=r"seed 1 of one configuration is in .*a/seed_1 and in .*again"):
        collect(find([sweep]))


def test_failed_and_unfinished_runs_are_rows_that_say_why(sweep):
    write_failure(sweep / "c", config(7), ValueError("seed=7 is not allowed"))
    RunFolder(sweep / "d", config(8))
    table = collect(find([sweep]))
    lost = {row["seed"]: (row["status"], row["reason"]) for row in table.without_results}
    assert lost[7] == ("failed", "ValueError: seed=7 is not allowed")
    assert lost[8][0] == "unfinished"
    assert "no results.json" in lost[8][1]
    assert [row["n"] for row in table.means] == [3, 3]


def test_only_runs_are_found(sweep):
    reader = RunFolder(sweep / "table", {"seed": 0, "runs": [str(sweep)]})
    reader.finish({"groups": 2})
    (sweep / "a" / "seed_0" / "alignments").mkdir()
    (sweep / "a" / "seed_0" / "alignments" / "config.yaml").write_text("x: 1")
    assert len(find([sweep])) == 6
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        find([sweep / "nowhere"])
    (sweep / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match="hold no run folder"):
        find([sweep / "empty"])


def test_other_experiments_give_their_plain_numbers(tmp_path):
    RunFolder(tmp_path / "run", config()).finish({"kappa": {"2": 58.0}, "n": 340, "verdict": "yes", "list": [1, 2]})
    (run,) = find([tmp_path])
    assert isinstance(run, Run)
    assert run.rows() == [{"kappa.2": 58.0, "n": 340}]
