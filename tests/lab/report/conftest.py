"""A run with its report, of a network with set weights: made once."""

import os

import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run of the main job, made by the library."""
    import numsym

    task = numsym.tasks.MultiObject(counts=range(1, 5), held_out=(3,))
    model = numsym.models.counting_gru(task.vocabulary)
    found = {
        name: numsym.alignment.Hypothesis(alignment=kind, subspace_dim=2)
        for name, kind in (("das", "orthogonal"), ("laf", "linear"))
    }
    folder = tmp_path_factory.mktemp("runs") / "finished"
    os.environ["WANDB_MODE"] = "disabled"
    numsym.studies.align(
        model, task, found, search={"max_steps": 20, "check_every": 5},
        pairs={"train": 200, "validation": 50, "test": 100}, run=numsym.Run(folder, track=False, quiet=True),
    )  # fmt: skip
    return folder


@pytest.fixture
def failed(tmp_path):
    """A run that failed, of another task, with a message that is no HTML."""
    from numsym.lab.folder import write_failure

    try:
        raise ValueError("counts <b> & held_out")
    except ValueError as error:
        write_failure(tmp_path / "failed", {"seed": 3, "tasks": {"name": "same_object"}}, error)
    return tmp_path / "failed"


@pytest.fixture
def unfinished(tmp_path):
    """A run that was stopped before it had anything."""
    import numsym

    with numsym.Run(tmp_path / "unfinished", track=False, quiet=True) as run:
        run.open()
    return tmp_path / "unfinished"
