"""The loop by itself: a straight line is fitted, with everything that happens on the way written down."""

import itertools

import pytest
import torch
from torch import nn

from numsym.errors import RunFolderError
from numsym.lab.run import Run
from numsym.storage import read_json
from numsym.training.loop import Checks, fit, kept
from numsym.training.optimisers import Optimisers


def line():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def loss(model, target):
    """In two parts, whose sum is (weight - target)^2."""
    for _ in range(2):
        yield (model(torch.ones(1)) - target).square().sum() / 2


def descent(model, rate=0.25):
    return Optimisers(torch.optim.SGD(model.parameters(), lr=rate), schedule=lambda step: 1.0)


def checks(model, due, between=False, enough=lambda record: False, on_check=None):
    def measure(losses):
        return {"losses": [one.item() for one in losses], "weight": model.weight.item(), "training": model.training}

    return Checks(due, measure, enough, between=between, on_check=on_check)


def test_checks_come_after_their_steps():
    """The gradient is 2 (w - 1): with a rate of a quarter the weight goes half of its way each step."""
    model = line()
    log = fit(model, loss, descent(model), itertools.repeat(1.0), 4, checks(model, lambda step: step % 2 == 0))
    assert [(r["step"], r["losses"], r["weight"]) for r in log.records] == [
        (2, [1.0, 0.25], 0.75),
        (4, [0.0625, 0.015625], 0.9375),
    ]
    assert (log.steps, log.reached) == (4, False)
    assert log.seconds > 0
    assert not model.training


def test_checks_between_a_loss_and_its_step_see_the_weights_of_the_loss():
    model = line()
    log = fit(model, loss, descent(model), itertools.repeat(1.0), 2, checks(model, lambda step: True, between=True))
    assert [(r["step"], r["losses"], r["weight"]) for r in log.records] == [
        (0, [1.0], 0.0),
        (1, [0.25], 0.5),
        (2, [0.0625], 0.75),
    ]
    assert (log.steps, model.weight.item()) == (2, 0.75)


@pytest.mark.parametrize(("between", "steps"), [(False, 2), (True, 2)])
def test_it_ends_when_it_is_enough(between, steps):
    model, seen = line(), []
    given = checks(model, lambda step: True, between, lambda record: record["weight"] > 0.7, seen.append)
    log = fit(model, loss, descent(model), itertools.repeat(1.0), 9, given)
    assert log.reached
    assert (log.steps, model.weight.item()) == (steps, 0.75)
    assert seen == log.records


def test_a_check_that_evaluates_does_not_leave_training_mode():
    model = line()
    modes = []

    def measure(losses):
        modes.append(model.training)
        model.eval()
        return {}

    fit(model, loss, descent(model), itertools.repeat(1.0), 3, Checks(lambda step: True, measure, lambda record: False))
    assert modes == [True, True, True]


def test_gradients_are_clipped_and_steps_are_told():
    model, steps = line(), {}
    options = {"clip": 0.5, "on_step": lambda step: steps.update({step: model.weight.item()})}
    fit(model, loss, descent(model), itertools.repeat(1.0), 2, checks(model, lambda step: False), **options)
    assert steps == pytest.approx({0: 0.0, 1: 0.125, 2: 0.25}, abs=1e-5)


def test_no_batch_is_drawn_that_is_not_needed():
    """A source of batches may share its generator with the checks."""
    for between, drawn in ((False, 3), (True, 4)):
        model, batches = line(), iter([1.0] * 9)
        fit(model, loss, descent(model), batches, 3, checks(model, lambda step: True, between))
        assert len(list(batches)) == 9 - drawn


def test_a_run_keeps_what_was_trained_and_its_course(tmp_path):
    made = []

    def train(target, run):
        model = line()
        once = checks(model, lambda step: step == 2)
        once.measure = lambda losses: {"loss": losses[-1].item()}

        def make():
            made.append(target)
            return fit(model, loss, descent(model), itertools.repeat(target), 2, once, run=run)

        return kept(run, "model", model, {"target": target}, make), model

    found = []
    for _ in range(2):
        with Run(tmp_path / "run", track=False, quiet=True) as run:
            found.append(train(1.0, run))
    assert made == [1.0]
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1].weight, found[1][1].weight)
    assert not found[1][1].training
    assert read_json(tmp_path / "run" / "model" / "training.json")["log"]["steps"] == 2
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"stage": "model", "step": 2, "loss": 0.25}\n'
    with Run(tmp_path / "run", track=False, quiet=True) as run, pytest.raises(RunFolderError, match=r"target=1\.0"):
        train(2.0, run)
