import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import AdditionTask, WrittenAdditionTask


def test_the_answer_and_its_end_are_predictable_and_rows_are_padded_behind():
    task = WrittenAdditionTask(cut="right")
    batch = task.sample(200, generator=torch.Generator().manual_seed(0))
    v = task.vocabulary
    behind = (batch.input_ids == v.equals).cumsum(1).bool() & (batch.input_ids != v.equals)
    assert torch.equal(batch.predictable, behind & batch.mask)
    assert batch.input_ids.shape[1] == task.longest
    assert set(batch.lengths.tolist()) == {task.longest - 1, task.longest}
    assert torch.equal(batch.counts, (batch.plan["a"] + batch.plan["b"]) % 100)
    assert task.intervenable(batch.input_ids).sum(1).tolist() == [4] * 200


@pytest.mark.parametrize("task", [WrittenAdditionTask(held_out=10), AdditionTask(base=100, digits=1, held_out=10)])
def test_no_pair_is_in_both_splits_and_a_tenth_is_held_out(task):
    drawn = {
        split: task.draw(20_000, split, torch.Generator().manual_seed(0)) for split in ("train", "held_out", "all")
    }
    pairs = {split: set(zip(plan["a"].tolist(), plan["b"].tolist(), strict=True)) for split, plan in drawn.items()}
    assert not pairs["train"] & pairs["held_out"]
    share = sum(pair in pairs["held_out"] for pair in pairs["all"]) / len(pairs["all"])
    if isinstance(task, AdditionTask):  # all of its 5,050 pairs are drawn
        assert share == pytest.approx(0.1, abs=0.02)
    # What is held out says nothing of the last digits.
    for digit in range(10):
        last = (drawn["held_out"]["a"] + drawn["held_out"]["b"]) % 10 == digit
        assert last.float().mean() == pytest.approx(0.1, abs=0.03)


def test_nothing_is_held_out_unasked():
    task = WrittenAdditionTask()
    with pytest.raises(InvalidArgumentError, match="nothing is held out"):
        task.sample(1, split="held_out")
    plans = [task.draw(50, split, torch.Generator().manual_seed(0)) for split in ("all", "train")]
    assert torch.equal(plans[0]["a"], plans[1]["a"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cut": "middle"}, UnknownNameError, "unknown cut 'middle': choose one of left"),
        ({"digits": 3}, InvalidArgumentError, "digits=3 is not allowed with chunk=2: give a multiple of 2"),
        ({"chunk": 5, "digits": 5}, InvalidArgumentError, "chunk=5 is not allowed"),
        ({"held_out": 1}, InvalidArgumentError, "held_out=1 is not allowed"),
        ({"held_out": -1}, InvalidArgumentError, "held_out=-1 is not allowed"),
    ],
)
def test_bad_settings_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        WrittenAdditionTask(**options)
