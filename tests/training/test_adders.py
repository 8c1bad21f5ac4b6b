import pytest
import torch

from numsym.errors import InvalidArgumentError, RunFolderError, UnknownNameError
from numsym.lab.run import Run
from numsym.models.adders import ARCHITECTURES, build_adder, number_rows
from numsym.tasks.addition import AdditionTask
from numsym.training.adders import AdderTraining, Answers, train_adder

TASK = AdditionTask(base=8, digits=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_it_learns_to_add_small_numbers_and_reports_it(architecture, optimiser):
    model = build_adder(architecture, TASK, width=32, layers=1)
    calls = []
    settings = AdderTraining(steps=200, learning_rate=5e-3, batch_size=64, checks=5)
    log = train_adder(model, TASK, settings, optimiser=optimiser, on_check=calls.append)
    assert calls == log.records
    assert log.steps == 200
    assert [record["step"] for record in calls] == [0, 40, 80, 120, 160, 200]
    assert calls[-1]["loss"] < 0.9 * calls[0]["loss"]
    assert calls[-1]["accuracy"] > 0.2 > 1 / 8


def test_training_is_the_same_for_the_same_seed_and_ends_when_it_is_good_enough():
    logs = []
    for seed in (0, 0, 1):
        model = build_adder("gru", TASK, width=16)
        logs.append(train_adder(model, TASK, {"steps": 20, "checks": 2}, seed=seed).records)
    assert logs[0] == logs[1] != logs[2]
    model = build_adder("gru", TASK, width=16)
    before = number_rows(model, TASK.base)
    early = train_adder(model, TASK, AdderTraining(steps=20, checks=2, stop_at=0.0))
    assert [record["step"] for record in early.records] == [0]
    assert early.reached
    assert torch.equal(number_rows(model, TASK.base), before)


def test_the_steps_are_adamws_with_a_warm_up_and_a_fall():
    """Written out with plain PyTorch: the loss of the answer, clipped gradients, the rate by step."""
    task, settings = AdditionTask(base=5, digits=2), AdderTraining(steps=6, batch_size=4, checks=3)
    model, reference = (build_adder("gru", task, width=8) for _ in range(2))
    seen = {}
    log = train_adder(model, task, settings, measure=lambda net: {"norm": norm(net)}, seed=3)
    rows = task.sample(4 * 32, generator=torch.Generator().manual_seed(3)).input_ids.split(4)
    adamw = torch.optim.AdamW(reference.parameters(), weight_decay=0.1, betas=(0.9, 0.98))
    for step in range(7):
        found = reference(rows[step][:, :-1]).logits[:, -2:]
        loss = -found.log_softmax(-1).gather(-1, rows[step][:, -2:, None]).mean()
        if step % 2 == 0:
            seen[step] = norm(reference)
        if step < 6:
            adamw.param_groups[0]["lr"] = 2e-3 * (step + 1) / 100 * max(0.05, 1 - step / 6)
            adamw.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
            adamw.step()
    assert {record["step"]: record["norm"] for record in log.records} == pytest.approx(seen, rel=0, abs=1e-5)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def norm(model):
    return sum(parameter.detach().abs().sum().item() for parameter in model.parameters())


def test_shares_are_over_the_steps_since_the_last_check():
    answers = Answers()
    answers.right += [torch.tensor([0.0, 0.5]), torch.tensor([1.0, 1.0])]
    assert answers.taken() == [0.5, 0.75]
    answers.right += [torch.tensor([0.0, 0.0])]
    assert answers.taken() == [0.0, 0.0]


def test_a_run_keeps_the_trained_adder_for_the_same_measures_only(tmp_path):
    logs = []
    for _ in range(2):
        model = build_adder("lstm", TASK, width=8)
        with Run(tmp_path / "run", track=False, quiet=True) as run:
            log = train_adder(model, TASK, {"steps": 4, "checks": 2}, asked={"power": 2}, run=run, name="one")
        logs.append((log, number_rows(model, TASK.base)))
    assert logs[0][0] == logs[1][0]
    assert torch.equal(logs[0][1], logs[1][1])
    with Run(tmp_path / "run", track=False, quiet=True) as run, pytest.raises(RunFolderError, match="power=2"):
        train_adder(build_adder("lstm", TASK, width=8), TASK, {"steps": 4, "checks": 2}, asked={}, run=run, name="one")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "steps=0"), ({"checks": 11, "steps": 10}, "checks=11"), ({"weight_decay": -1}, "weight_decay=-1")],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=f"{message} is not allowed"):
        AdderTraining(**options)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(UnknownNameError, match="adamw, muon"):
        train_adder(build_adder("gru", TASK, width=8), TASK, optimiser="sgd")
