import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.tasks import RippleAddition


def test_a_trial_reads_as_written():
    plan = {"a": torch.tensor([27]), "b": torch.tensor([95])}
    for interleaved, text in ((True, "7 5 2 9 = 2 2 1"), (False, "7 2 + 5 9 = 2 2 1")):
        task = RippleAddition(base=10, digits=2, interleaved=interleaved)
        batch = task.sample(1, plan=plan)
        assert task.text(batch.input_ids[0]) == text
        words = text.split()
        allowed = [word.isdigit() and i < len(words) - 1 for i, word in enumerate(words)]
        assert task.intervenable(batch.input_ids)[0].tolist() == allowed
        assert task.places(batch.input_ids)[0].tolist() == list(range(len(words)))


def test_sums_are_shown_by_how_many_columns_carry():
    task = RippleAddition()
    plan = {"a": torch.tensor([0b1111, 0b1010, 0b0101, 0b0011]), "b": torch.tensor([0b0001, 0b0101, 0b0101, 0b0001])}
    assert task.number(plan).tolist() == [4, 0, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 1}, "base=1 is not allowed"),
        ({"digits": 0}, "digits=0 is not allowed"),
        ({"base": 10, "digits": 4}, "10000 values of each number are not allowed"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        RippleAddition(**options)
