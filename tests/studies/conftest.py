"""Run folders with results that are written by hand."""

import pytest


@pytest.fixture
def finished():
    """From a folder, its configuration and its results: a finished run."""
    from numsym.lab.folder import CONFIG, RESULTS, VERSIONS, text, versions
    from numsym.storage import write_json, write_text

    def write(folder, config, results):
        folder.mkdir(parents=True)
        write_text(folder / CONFIG, text(config))
        write_json(folder / VERSIONS, versions())
        if results is not None:
            write_json(folder / RESULTS, results)

    return write


@pytest.fixture(scope="session")
def bench():
    """A trained modular adder on its bench; imported here, after the shape checks are in place."""
    from numsym.models.adders import build_adder
    from numsym.studies.adder_bench import Bench
    from numsym.tasks.addition import AdditionTask
    from numsym.training import AdderTraining, train_adder

    task = AdditionTask(base=12, digits=1, modular=True)
    model = build_adder("transformer", task, width=32, layers=1, spread=32**-0.5)
    settings = AdderTraining(steps=1500, batch_size=144, weight_decay=0.03, checks=30, learning_rate=4e-3, stop_at=0.99)
    log = train_adder(model, task, settings)
    assert log.records[-1]["accuracy"] > 0.95
    return Bench(model, task, period=12, trials=200)
