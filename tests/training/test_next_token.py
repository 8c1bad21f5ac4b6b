import itertools
import logging

import pytest
import torch

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM
from numsym.models.logits import by_length
from numsym.tasks import MultiObject
from numsym.training import evaluate, log_spaced, next_token, train


def small(task, cell="gru"):
    return RecurrentLM(RecurrentConfig(cell=cell, vocab_size=task.vocab_size, hidden_size=24))


def test_the_learning_rate_can_fall_to_zero():
    task, weights = MultiObject(), []
    torch.manual_seed(0)
    model = small(task)
    train(model, task, steps=4, check_every=1, schedule="linear", on_check=lambda _: weights.append(norm(model)))
    changes = [abs(a - b) for a, b in itertools.pairwise(weights)]
    assert changes[-1] < changes[0]
    with pytest.raises(ValueError, match="unknown schedule 'cosine': choose one of constant, linear"):
        train(model, task, schedule="cosine")


def norm(model):
    return sum(parameter.detach().abs().sum().item() for parameter in model.parameters())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_network_learns_to_count_and_generalises_to_a_held_out_count(cell):
    task = MultiObject(counts=range(1, 6), held_out=(3,))
    model, seen = small(task, cell), []
    log = train(model, task, steps=1500, check_every=50, seed=0, on_check=seen.append)
    assert log.reached
    assert log.records == seen
    assert log.steps == seen[-1]["step"] < 1500
    result = evaluate(model, task)
    assert (result.accuracy, result.held_out) == (1.0, 1.0)
    assert result.by_count == dict.fromkeys(range(1, 6), 1.0)
    assert not model.training


def test_the_same_seed_gives_the_same_weights_and_log():
    task, runs = MultiObject(), []
    for _ in range(2):
        torch.manual_seed(3)
        model = small(task)
        runs.append((train(model, task, steps=5, check_every=5, seed=4).records, model.decoder[0].weight))
    assert runs[0][0] == runs[1][0]
    assert torch.equal(runs[0][1], runs[1][1])


def test_not_reaching_the_goal_is_said_plainly(caplog):
    task = MultiObject()
    with caplog.at_level(logging.WARNING, "numsym"):
        log = train(small(task), task, steps=2)
    assert (log.reached, log.steps) == (False, 2)
    assert "ended after steps=2 without reaching stop_at=1: the last trial accuracy is 0" in caplog.text


def test_a_step_in_parts_of_like_lengths_is_the_same_step(monkeypatch):
    task, found = MultiObject(void_prob=0.2), []
    for parts in (1, 4):
        monkeypatch.setattr(next_token, "LENGTH_PARTS", parts)
        made: list[int] = []

        def counted(*given, made=made):
            made.append(given[2])
            return by_length(*given)

        monkeypatch.setattr(next_token, "by_length", counted)
        torch.manual_seed(0)
        model = TransformerLM(TransformerConfig(hidden_size=8, num_heads=2, num_layers=1))
        log = train(model, task, steps=3, batch_size=16, check_every=3, seed=0)
        found.append((log.records[0]["loss"], model.bridge.embed.weight))
        assert made == [parts] * 3
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-4, rtol=0)


def test_bad_arguments_come_before_the_work():
    task = MultiObject()
    with pytest.raises(ModelMismatchError, match="vocab_size=4 of the model is not allowed: multi_object has 9 tokens"):
        train(RecurrentLM(RecurrentConfig(vocab_size=4)), task)
    with pytest.raises(InvalidArgumentError, match="steps=0 is not allowed"):
        train(small(task), task, steps=0)
    with pytest.raises(InvalidArgumentError, match="clip=-1 is not allowed"):
        train(small(task), task, clip=-1)
    with pytest.raises(InvalidArgumentError, match=r"stop_at=2 is not allowed: it must lie in 0..1"):
        train(small(task), task, stop_at=2)


def test_weights_are_kept_where_they_are_asked_for_and_training_goes_as_before():
    task, kept, finals = MultiObject(), {}, []
    for at in ((), (0, 2, 5, 40)):
        torch.manual_seed(3)
        model = small(task)

        def keep(step, model=model):
            kept[step] = model.embed.weight.detach().clone()

        train(model, task, steps=6, check_every=3, seed=4, keep_at=at, on_keep=keep)
        finals.append(model.embed.weight)
    assert torch.equal(*finals)
    assert list(kept) == [0, 2, 5, 6]
    torch.manual_seed(3)
    assert torch.equal(kept[0], small(task).embed.weight)
    assert torch.equal(kept[6], finals[0])
    assert not torch.equal(kept[2], kept[5])


def test_a_schedule_is_spaced_by_ratios():
    assert log_spaced(1000, 3) == (0, 10, 100, 1000)
    assert log_spaced(12, 20)[:3] == (0, 10, 11)
    with pytest.raises(InvalidArgumentError, match="n=1 is not allowed"):
        log_spaced(100, 1)
