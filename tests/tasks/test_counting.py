import pytest
import torch

from numsym.tasks import MultiObject, SameObject, SingleObject


@pytest.mark.parametrize(
    ("task", "trial"),
    [(MultiObject, "B D D D T R R R E"), (SingleObject, "B D D D T R R R E"), (SameObject, "B D D D T D D D E")],
)
def test_a_trial_reads_as_in_the_paper(task, trial):
    task = task(void_prob=0.0)
    batch = task.sample(1, plan={"target": torch.tensor([3])})
    words = ["D" if w.startswith("D") else w for w in task.text(batch.input_ids[0]).split()]
    assert words == trial.split()
    assert batch.predictable[0].tolist() == [False] * 5 + [True] * 4
    assert task.intervenable(batch.input_ids)[0].tolist() == [w in "DR" for w in words]


def test_multi_object_draws_its_three_tokens_uniformly():
    task = MultiObject()
    batch = task.sample(3000, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(batch.input_ids.flatten(), minlength=task.vocab_size)[-3:].float()
    torch.testing.assert_close(share / share.sum(), torch.full((3,), 1 / 3), atol=0.01, rtol=0)


def test_void_tokens_come_at_their_rate_and_count_for_nothing():
    task = MultiObject(void_prob=0.2)
    batch = task.sample(3000, generator=torch.Generator().manual_seed(0))
    demonstrations = task.vocabulary.is_demonstration(batch.input_ids).sum()
    void = (batch.input_ids == task.vocabulary.void).sum()
    assert abs(float(void / (void + demonstrations)) - 0.2) < 0.01
    assert torch.equal(task.vocabulary.is_demonstration(batch.input_ids).sum(1), batch.counts)
    assert torch.equal((batch.input_ids == task.vocabulary.response).sum(1), batch.counts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": ()}, r"counts=\(\) is not allowed"),
        ({"counts": range(0, 3), "held_out": ()}, r"counts=\(0, 1, 2\) is not allowed: every count must be at least 1"),
        ({"held_out": (21,)}, r"held_out=\(21,\) is not allowed: 21 is not among counts"),
        ({"counts": (1, 2), "held_out": (1, 2)}, r"held_out=\(1, 2\) .* no count is left"),
        ({"void_prob": -0.1}, r"void_prob=-0.1 is not allowed: it must lie in 0..1"),
        ({"void_prob": 1.0}, r"void_prob=1.0 is not allowed"),
        ({"void_prob": 1.5}, r"void_prob=1.5 is not allowed"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiObject(**arguments)
