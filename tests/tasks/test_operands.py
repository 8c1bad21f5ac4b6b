import pytest

from numsym.errors import InvalidArgumentError
from numsym.tasks import RippleAddition


def test_the_splits_divide_all_pairs_by_the_seed(generator):
    task, other = (RippleAddition(digits=3, fraction=0.75, seed=seed) for seed in (0, 1))
    train, held_out = ({tuple(pair) for pair in task.pairs(split).tolist()} for split in ("train", "held_out"))
    assert (len(train), len(held_out)) == (48, 16)
    assert train | held_out == {(a, b) for a in range(8) for b in range(8)}
    assert train != {tuple(pair) for pair in other.pairs("train").tolist()}
    plan = task.draw(2000, "held_out", generator)
    assert set(zip(plan["a"].tolist(), plan["b"].tolist(), strict=True)) == held_out


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(InvalidArgumentError, match="it leaves none of 16 pairs for training"):
        RippleAddition(digits=2, fraction=0.01)
    with pytest.raises(InvalidArgumentError, match="fraction=1 holds out no pair"):
        RippleAddition(fraction=1).whole("held_out")
    with pytest.raises(InvalidArgumentError, match=r"fraction=1.5 is not allowed: it must lie in 0..1"):
        RippleAddition(fraction=1.5)
