import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.tasks import MultiObject, Square


def test_targets_are_uniform_over_the_split(generator):
    task = MultiObject()
    targets = task.draw(32_000, "train", generator)["target"]
    share = torch.bincount(targets, minlength=21) / 32_000
    kept = [c for c in range(1, 21) if c not in (4, 9, 14, 17)]
    assert share.nonzero().flatten().tolist() == kept
    assert (share[kept] - 1 / 16).abs().max() < 0.01
    assert torch.equal(task.number({"target": targets}), targets)


def test_held_out_counts_are_those_of_the_paper_among_the_counts():
    assert MultiObject().held_out == (4, 9, 14, 17)
    assert (Square().counts, Square().held_out) == (tuple(range(1, 11)), (4, 9))
    assert MultiObject(counts=range(1, 5)).held_out == ()
    assert not MultiObject(held_out=()).has_held_out


def test_counts_without_a_sense_are_refused():
    with pytest.raises(InvalidArgumentError, match="every count must be at least 1"):
        MultiObject(counts=(0, 3))
    with pytest.raises(InvalidArgumentError, match="no count is left for training"):
        Square(counts=(3,), held_out=(3,))
