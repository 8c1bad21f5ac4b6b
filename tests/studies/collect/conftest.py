"""Run folders that were never run: what is read of them, and nothing else."""

import pytest

from numsym.lab.folder import write_failure

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
def configured():
    """A configuration, by some of its entries."""
    return config


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
