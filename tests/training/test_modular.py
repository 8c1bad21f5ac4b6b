from dataclasses import asdict

import pytest
import torch

from numsym.circuits import circuit_metrics
from numsym.errors import InvalidArgumentError, ModelMismatchError, RunFolderError, UnknownNameError
from numsym.lab.run import Run
from numsym.models.adders import build_modular
from numsym.tasks import ModularAddition
from numsym.training.modular import ModularTrainingSettings, first_right, train_modular

SHORT = ModularTrainingSettings(epochs=20, log_every=10)
SMALL = {"hidden_size": 16, "num_attention_heads": 2}


def test_a_transformer_learns_to_add_pairs_it_has_not_seen():
    task = ModularAddition(p=23, fraction=0.9)
    model = build_modular(task, alpha=0, hidden_size=64)
    settings = ModularTrainingSettings(epochs=2000, log_every=100, patience=1)
    rows = []
    log = train_modular(model, task, settings, measure=lambda net: asdict(circuit_metrics(net)), on_check=rows.append)
    assert rows == log.records
    assert log.reached
    assert log.records[-1]["test_accuracy"] == 1.0
    assert first_right(log) == log.records[-1]["step"] == log.steps < 2000
    # The record describes the model as it was left.
    assert not model.training
    assert circuit_metrics(model).gradient_symmetricity == log.records[-1]["gradient_symmetricity"]


@pytest.mark.parametrize("kind", ["A", "B", "C", "D", "X"])
def test_linear_models_learn_their_training_pairs(kind):
    task = ModularAddition(p=7, fraction=1)
    model = build_modular(task, kind=kind, hidden_size=32)
    log = train_modular(model, task, {"epochs": 300, "log_every": 100, "weight_decay": 0.1, "lr": 1e-2})
    assert log.records[-1]["test_accuracy"] == 1.0


def test_the_first_steps_are_adamw_with_warm_up_on_the_whole_split():
    task = ModularAddition(p=5)
    model, reference = (build_modular(task, seed=3, **SMALL) for _ in range(2))
    train_modular(model, task, ModularTrainingSettings(epochs=12, log_every=12))
    pairs = task.pairs("train")
    optimizer = torch.optim.AdamW(reference.parameters(), lr=0.0, weight_decay=2.0, betas=(0.9, 0.98))
    for step in range(12):
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, (step + 1) / 10)
        logits = reference(pairs).logits[:, -1].double()
        loss = -torch.log_softmax(logits, -1)[torch.arange(len(pairs)), pairs.sum(1) % 5].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_model_and_leaves_the_global_generator():
    task, state = ModularAddition(p=5, separate_vocabularies=True, equals_sign=True), torch.get_rng_state()
    first, again, other = (train_modular(build_modular(task, seed=s, **SMALL), task, SHORT) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.records[-1]["loss"] == again.records[-1]["loss"] != other.records[-1]["loss"]
    assert [row["step"] for row in first.records] == [10, 20]
    assert first_right(first, accuracy=2.0) is None


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"epochs": 0}, "epochs=0 is not allowed"),
        ({"log_every": 0}, "log_every=0 is not allowed"),
        ({"lr": 0.0}, "lr=0.0 is not allowed: it must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 is not allowed"),
        ({"betas": (0.9, 1.5)}, "betas=1.5 is not allowed"),
    ],
)
def test_bad_settings(option, text):
    with pytest.raises(InvalidArgumentError, match=text):
        ModularTrainingSettings(**option)


def test_a_model_of_another_task_is_refused():
    model = build_modular(ModularAddition(p=5), **SMALL)
    with pytest.raises(ModelMismatchError, match=r"=\(5, False, False\), but the task has \(7, False, False\)"):
        train_modular(model, ModularAddition(p=7))
    with pytest.raises(UnknownNameError, match="unknown field of ModularTrainingSettings 'steps'"):
        train_modular(model, ModularAddition(p=5), {"steps": 3})


def test_the_loss_can_be_compiled(monkeypatch):
    """`torch.compile` itself takes a minute: here it is asked for and gives the function back."""
    task, asked = ModularAddition(p=5), []
    monkeypatch.setattr(torch, "compile", lambda function: asked.append(function) or function)
    runs = [train_modular(build_modular(task, **SMALL), task, {"epochs": 2, "compile": on}) for on in (False, True)]
    assert len(asked) == 1
    assert runs[0].records[-1]["loss"] == runs[1].records[-1]["loss"]


def test_a_run_keeps_the_trained_adder(tmp_path):
    task, logs = ModularAddition(p=5), []
    for _ in range(2):
        model = build_modular(task, **SMALL)
        with Run(tmp_path / "run", track=False, quiet=True) as run:
            logs.append((train_modular(model, task, SHORT, run=run), model))
    assert logs[0][0] == logs[1][0]
    assert torch.equal(logs[0][1].embed.weight, logs[1][1].embed.weight)
    with Run(tmp_path / "run", track=False, quiet=True) as run, pytest.raises(RunFolderError, match="warmup=10"):
        train_modular(build_modular(task, **SMALL), task, {**asdict(SHORT), "warmup": 9}, run=run)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_cuda_follows_the_one_on_cpu():
    task = ModularAddition(p=7)
    rows = []
    for device in ("cpu", "cuda"):
        rows.append(train_modular(build_modular(task, **SMALL).to(device), task, SHORT).records[-1])
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=1e-3)
