import pytest

from numsym.alignment import Hypothesis, PairCounts, measured_pairs
from numsym.alignment.drawn import Drawn
from numsym.errors import InvalidArgumentError
from numsym.programs import FULL
from numsym.tasks import TASKS, MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))
COUNTS = PairCounts(train=80, validation=30, test=40)


@pytest.fixture(scope="module")
def drawn():
    return Drawn.draw(TASK, Hypothesis(seed=3), COUNTS, None)


def test_what_is_measured_was_not_searched_with(drawn):
    assert (len(drawn.train), len(drawn.validation), len(drawn.test), len(drawn.held_out)) == (80, 30, 40, 40)
    trained = set(drawn.train.keys())
    assert not trained & set(drawn.validation.keys())
    assert not trained & set(drawn.test.keys())
    assert set(drawn.held_out.base_counts.tolist()) == {4}
    assert 4 not in drawn.test.base_counts.tolist()
    assert drawn.everything.variables == (FULL,)


def test_the_measured_pairs_are_drawn_again(drawn):
    for part in ("train", "validation", "test", "held_out"):
        assert measured_pairs(TASK, Hypothesis(seed=3), COUNTS, part=part).keys() == getattr(drawn, part).keys()
    assert measured_pairs(TASK, Hypothesis(seed=4), COUNTS).keys() != drawn.test.keys()
    single = TASKS["single_object"](counts=range(1, 7), held_out=())
    with pytest.raises(InvalidArgumentError, match="part='held_out' is not allowed: nothing is held out"):
        measured_pairs(single, Hypothesis(), COUNTS, part="held_out")


def test_permuted_sources_leave_the_bases(drawn):
    mixed = drawn.permuted(0)
    assert mixed.test.base_ids.tolist() == drawn.test.base_ids.tolist()
    assert mixed.test.source_at.tolist() != drawn.test.source_at.tolist()
    assert sorted(mixed.test.source_at.tolist()) == sorted(drawn.test.source_at.tolist())
    assert mixed.held_out is drawn.held_out
