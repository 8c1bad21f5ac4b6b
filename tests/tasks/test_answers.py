import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.tasks import ModularAddition
from numsym.tasks.answers import Answers

TASK = ModularAddition(p=6, fraction=0.5)


class Asked:
    """Answers rightly where the sum is wanted, and remembers what it was asked."""

    def __init__(self, wanted):
        self.wanted, self.rows = torch.tensor(wanted), 0

    def __call__(self, batch):
        self.rows += len(batch)
        return torch.isin(batch.counts, self.wanted)


def test_each_trial_is_asked_once(generator):
    asked = Asked([1, 2])
    answers = Answers(TASK, asked)
    assert (answers.share.value, answers.share.n) == (12 / 36, 36)
    plan = answers.draw(500, "all", generator)
    assert set(((plan["a"] + plan["b"]) % 6).tolist()) == {1, 2}
    assert len(plan["a"]) == 500
    assert asked.rows == 36


def test_the_order_of_trials_is_kept():
    plan = {"a": torch.tensor([1, 5, 1, 0]), "b": torch.tensor([0, 0, 0, 2])}
    assert Answers(TASK, Asked([1, 2])).rightly(plan).tolist() == [True, False, True, True]


def test_too_few_are_told_before_any_is_drawn():
    for wanted, said in (
        ([], "answers none of 36 different trials of modular_addition rightly, and 5 are the fewest"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            Answers(TASK, Asked(wanted)).draw(3, "all", None)


def test_a_split_with_none_is_told():
    seen = {tuple(pair) for pair in TASK.pairs("train").tolist()}

    def right(batch):
        return torch.tensor(
            [pair in seen for pair in zip(batch.plan["a"].tolist(), batch.plan["b"].tolist(), strict=True)]
        )

    with pytest.raises(
        InvalidArgumentError, match=r"split='held_out' is not allowed here: of 300 such trials .* only 0"
    ):
        Answers(TASK, right).draw(3, "held_out", None)
