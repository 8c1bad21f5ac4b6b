import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import AdditionPrompts, MultiObject
from numsym.training import evaluation
from numsym.training.evaluation import evaluate, rightly


class Oracle(nn.Module):
    """Answers by counting in plain Python; wrong by one for the number 2."""

    def __init__(self, task):
        super().__init__()
        self.task, self.anchor = task, nn.Parameter(torch.zeros(()))

    def forward(self, input_ids, attention_mask=None):
        logits = torch.zeros(*input_ids.shape, self.task.vocab_size)
        for row, ids in enumerate(input_ids.tolist()):
            words = [self.task.vocabulary.tokens[i] for i in ids]
            for t in range(len(words)):
                seen = sum(w.startswith("D") for w in words[: t + 1])
                left = seen - words[: t + 1].count("R") + (seen == 2)
                logits[row, t, self.task.vocabulary.tokens.index("R" if left > 0 else "E")] = 1
        return {"logits": logits}


def test_a_trial_is_right_only_when_every_predictable_token_is():
    task = MultiObject(counts=range(1, 5), held_out=(2,))
    result = evaluate(Oracle(task), task, n=200)
    assert result.by_count == {1: 1.0, 2: 0.0, 3: 1.0, 4: 1.0}
    assert result.held_out == 0.0
    assert 0.6 < result.accuracy < 0.9


def test_trials_evaluated_in_parts_of_like_lengths_keep_their_places(monkeypatch, generator):
    task = MultiObject(counts=range(1, 5), held_out=())
    trials = task.sample(60, generator=generator)
    monkeypatch.setattr(evaluation, "EVALUATED", 16)
    right, counts = evaluation._right(Oracle(task), trials)
    assert right.tolist() == (trials.counts != 2).tolist()
    assert counts.tolist() == trials.counts.tolist()
    assert len(set(right.tolist())) == 2


def test_the_model_comes_back_as_it_was():
    task = MultiObject(counts=range(1, 5), held_out=(2,))
    model = Oracle(task).train()
    evaluate(model, task, n=2)
    assert model.training
    assert model.anchor.requires_grad


def test_bad_arguments_come_before_the_work():
    task = MultiObject()
    with pytest.raises(ModelMismatchError, match="vocab_size=4 of the model is not allowed: multi_object has 9 tokens"):
        evaluate(RecurrentLM(RecurrentConfig(vocab_size=4)), task)
    with pytest.raises(InvalidArgumentError, match="n=0 is not allowed"):
        evaluate(RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size)), task, n=0)


def test_of_other_tasks_all_trials_are_used(tokenizer):
    task = MultiObject(counts=range(1, 5), held_out=(2,))
    assert rightly(Oracle(task), task) is task
    prompts = AdditionPrompts(tokenizer=tokenizer, largest=3, only_right=False)
    assert rightly(Oracle(task), prompts) is prompts


def test_of_several_models_those_trials_are_drawn_that_all_answer_rightly(tokenizer):
    task = AdditionPrompts(tokenizer=tokenizer, largest=6)

    def knows(sums):
        """Whose answers are right of these sums alone."""
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=1))

        def forward(input_ids, **_):
            said = torch.zeros(len(input_ids), 1, len(tokenizer))
            asked = task.vocabulary.c
            for row, ids in enumerate(input_ids):
                a, b = (int(one) for one in task.text(ids).split("\n")[-1].split(" =")[0].split(" + "))
                said[row, 0, asked.ids[a + b if a + b in sums else (a + b + 1) % 12][0]] = 1
            return {"logits": said}

        model.forward = forward
        return model

    first, second = knows(range(1, 9)), knows(range(4, 12))
    both = rightly(first, task, second).sample(60, generator=torch.Generator().manual_seed(0))
    assert set(both.counts.tolist()) == set(range(4, 9))


def test_which_trials_a_model_answers_rightly_is_asked_of_it_and_kept(tokenizer):
    task = AdditionPrompts(tokenizer=tokenizer, largest=5)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=1)).train()
    with torch.no_grad():  # it says 5 whatever it is asked
        model.lm_head.weight.zero_()
        model.transformer.ln_f.bias.fill_(1)
        model.lm_head.weight[tokenizer(" 5")["input_ids"][0]] = 1
    asked = rightly(model, task)
    assert set(asked.sample(50).counts.tolist()) == {5}
    assert (asked.answered.value, asked.answered.n) == (6 / 36, 36)
    assert model.training
    assert rightly(model, asked) is asked
