import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.tasks.addition import AdditionTask


def read(rows: torch.Tensor, base: int, digits: int) -> list[tuple[int, int, int]]:
    """The three numbers of each trial, from its tokens."""
    numbers = []
    for row in rows.tolist():
        parts = row[:digits], row[digits + 1 : 2 * digits + 1], row[2 * digits + 2 :]
        numbers.append(tuple(sum(d * base ** (digits - 1 - i) for i, d in enumerate(part)) for part in parts))
    return numbers


@pytest.mark.parametrize(("base", "digits"), [(100, 3), (100, 1), (7, 2), (1000, 3)])
@pytest.mark.parametrize("modular", [False, True])
def test_the_answer_is_the_sum(base, digits, modular):
    task = AdditionTask(base=base, digits=digits, modular=modular)
    batch = task.sample(300, generator=torch.Generator().manual_seed(0))
    assert batch.input_ids.shape == (300, 3 * digits + 2)
    assert batch.mask.all()
    for a, b, c in read(batch.input_ids, base, digits):
        assert c == (a + b) % base**digits
        assert modular or a + b < base**digits
    assert batch.predictable[:, -digits:].all()
    assert not batch.predictable[:, :-digits].any()
    assert torch.equal(batch.counts, batch.input_ids[:, -1])


def test_pairs_are_uniform_over_the_triangle():
    task = AdditionTask(base=5, digits=1)
    plan = task.draw(60_000, "all", torch.Generator().manual_seed(0))
    counts = torch.zeros(5, 5).index_put_((plan["a"], plan["b"]), torch.ones(60_000), accumulate=True)
    allowed = torch.arange(5)[:, None] + torch.arange(5) < 5
    assert (counts[~allowed] == 0).all()
    assert (counts[allowed] / 60_000 - 1 / 15).abs().max() < 0.005


def test_a_trial_reads_as_written():
    task = AdditionTask(base=100, digits=2)
    batch = task.sample(1, plan={"a": torch.tensor([1299]), "b": torch.tensor([4])})
    assert task.text(batch.input_ids[0]) == "12 99 + 0 4 = 13 3"
    assert task.intervenable(batch.input_ids)[0].tolist() == [True, True, False, True, True, False, False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 1}, "base=1 is not allowed"),
        ({"digits": 0}, "digits=0 is not allowed"),
        ({"base": 1000, "digits": 7}, "numbers must stay below"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        AdditionTask(**options)
