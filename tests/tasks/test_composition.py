import pytest

from numsym.errors import InvalidArgumentError
from numsym.tasks import Composition


def test_the_stream_is_where_one_may_intervene(generator):
    task = Composition(group="S3", counts=range(1, 6), held_out=(3,))
    batch = task.sample(200, generator=generator, split="train")
    assert set(batch.counts.tolist()) == {1, 2, 4, 5}
    assert task.vocab_size == 10
    for row in range(200):
        words = task.text(batch.input_ids[row]).split()
        stream = task.intervenable(batch.input_ids)[row].nonzero().flatten().tolist()
        assert stream == list(range(1, words.index("=")))


def test_an_unknown_group_is_refused():
    with pytest.raises(InvalidArgumentError, match="group='A5' is not allowed"):
        Composition(group="A5")
