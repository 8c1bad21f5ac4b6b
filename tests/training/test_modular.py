import pytest
import torch

from numsym.circuits import circuit_metrics
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.tasks import ModularAddition
from numsym.training.modular import ModularTrainingSettings, build_adder, train_adder

SHORT = ModularTrainingSettings(epochs=20, log_every=10)
SMALL = {"hidden_size": 16, "num_attention_heads": 2}


def test_a_transformer_learns_to_add_pairs_it_has_not_seen():
    task = ModularAddition(p=23, fraction=0.9)
    model = build_adder(task, alpha=0, hidden_size=64)
    settings = ModularTrainingSettings(epochs=2000, log_every=100, patience=1)
    rows = []
    result = train_adder(model, task, settings, on_log=rows.append)
    assert rows == result.history
    assert result.history[-1]["test_accuracy"] == 1.0
    assert result.first_epoch() == result.history[-1]["epoch"] < 2000
    # The row describes the model as it was left.
    assert not model.training
    assert circuit_metrics(model).gradient_symmetricity == result.history[-1]["gradient_symmetricity"]


@pytest.mark.parametrize("kind", ["A", "B", "C", "D", "X"])
def test_linear_models_learn_their_training_pairs(kind):
    task = ModularAddition(p=7, fraction=1)
    model = build_adder(task, kind=kind, hidden_size=32)
    result = train_adder(model, task, ModularTrainingSettings(epochs=300, log_every=100, weight_decay=0.1, lr=1e-2))
    assert result.history[-1]["accuracy"] == 1.0


def test_the_first_steps_are_adamw_with_warm_up_on_the_whole_split():
    task = ModularAddition(p=5)
    model, reference = (build_adder(task, seed=3, **SMALL) for _ in range(2))
    train_adder(model, task, ModularTrainingSettings(epochs=12, log_every=12))
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
    first, again, other = (train_adder(build_adder(task, seed=s, **SMALL), task, SHORT) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.history[-1]["train_loss"] == again.history[-1]["train_loss"] != other.history[-1]["train_loss"]
    assert [row["epoch"] for row in first.history] == [10, 20]
    assert first.first_epoch(accuracy=2.0) is None


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
    model = build_adder(ModularAddition(p=5), **SMALL)
    with pytest.raises(ModelMismatchError, match=r"=\(5, False, False\), but the task has \(7, False, False\)"):
        train_adder(model, ModularAddition(p=7))
    with pytest.raises(InvalidArgumentError, match="kind='A' is not allowed: linear models read"):
        build_adder(ModularAddition(p=5, equals_sign=True), kind="A")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_cuda_follows_the_one_on_cpu():
    task = ModularAddition(p=7)
    rows = []
    for device in ("cpu", "cuda"):
        rows.append(train_adder(build_adder(task, **SMALL).to(device), task, SHORT).history[-1])
    assert rows[0]["train_loss"] == pytest.approx(rows[1]["train_loss"], rel=1e-3)
