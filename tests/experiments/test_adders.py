import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.experiments.adders import ARCHITECTURES, AdderTraining, build, number_rows, optimisers, train_adder
from numsym.tasks.addition import AdditionTask

TASK = AdditionTask(base=8, digits=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_unembedding_is_the_embedding(architecture):
    model = build(architecture, TASK, width=16)
    rows = number_rows(model, TASK)
    assert rows.shape == (8, 16)
    tokens = TASK.sample(3).input_ids
    logits = model(input_ids=tokens)["logits"]
    assert logits.shape == (3, 5, TASK.vocab_size)
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = 0
    # A token whose row is zero has a logit of zero, wherever it is not itself read.
    read = (tokens == 7).any(dim=1)
    assert torch.equal(model(input_ids=tokens)["logits"][~read][..., 7], torch.zeros((~read).sum(), 5))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_do_not_see_what_comes_later(architecture):
    model = build(architecture, TASK, width=16).eval()
    rows = TASK.sample(1).input_ids.repeat(2, 1)
    rows[1, 3:] = 0
    logits = model(input_ids=rows)["logits"]
    torch.testing.assert_close(logits[0, :3], logits[1, :3])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_it_learns_to_add_small_numbers_and_reports_it(architecture, optimiser):
    torch.manual_seed(0)
    model = build(architecture, TASK, width=32, layers=1)
    calls = []
    settings = AdderTraining(optimiser=optimiser, steps=200, learning_rate=5e-3, batch_size=64, checks=5)
    log = train_adder(model, TASK, settings, calls.append)
    assert calls == log.records
    assert [record["step"] for record in calls] == [0, 40, 80, 120, 160, 200]
    assert calls[-1]["loss"] < 0.9 * calls[0]["loss"]
    assert calls[-1]["accuracy"] > 0.2 > 1 / 8


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_muon_takes_the_hidden_matrices_and_adamw_the_rest(architecture):
    model = build(architecture, TASK, width=16)
    muon, adamw = optimisers(model, AdderTraining(optimiser="muon"))
    taken = [p for group in muon.param_groups for p in group["params"]]
    others = [p for group in adamw.param_groups for p in group["params"]]
    assert isinstance(muon, torch.optim.Muon)
    assert all(p.ndim == 2 for p in taken)
    assert any(p is model.get_input_embeddings().weight for p in others)
    assert len(taken) + len(others) == len(list(model.parameters()))
    assert {id(p) for p in taken}.isdisjoint(id(p) for p in others)


def test_training_is_the_same_for_the_same_seed_and_ends_when_it_is_good_enough():
    logs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        logs.append(
            train_adder(build("gru", TASK, width=16), TASK, AdderTraining(steps=20, checks=2, seed=seed)).records
        )
    assert logs[0] == logs[1] != logs[2]
    early = train_adder(build("gru", TASK, width=16), TASK, AdderTraining(steps=20, checks=2, stop_at=0.0))
    assert [record["step"] for record in early.records] == [0]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "steps=0"), ({"checks": 11, "steps": 10}, "checks=11"), ({"weight_decay": -1}, "weight_decay=-1")],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=f"{message} is not allowed"):
        AdderTraining(**options)
    with pytest.raises(UnknownNameError, match="adamw, muon"):
        AdderTraining(optimiser="sgd")
    with pytest.raises(UnknownNameError, match="gru, lstm, transformer"):
        build("rnn", TASK)
