import pytest
import torch

from numsym.tasks import TASKS

ASKED = {"mod": lambda n: n % 4, "round": lambda n: 3 * round(n / 3), "square": lambda n: n * n}


@pytest.mark.parametrize("name", list(ASKED))
def test_a_trial_asks_for_the_transform_of_its_count(name, generator):
    task = TASKS[name](void_prob=0.2)
    batch = task.sample(300, generator=generator)
    assert set(batch.counts.tolist()) == set(task.counts)
    for row, count in zip(batch.input_ids, batch.counts.tolist(), strict=True):
        words = [word[0] for word in task.text(row).split() if word != "U"]
        assert words == ["B", *"D" * count, "T", *"R" * ASKED[name](count), "E"]
    assert torch.equal(batch.predictable.sum(1) - 1, (batch.input_ids == task.vocabulary.response).sum(1))
