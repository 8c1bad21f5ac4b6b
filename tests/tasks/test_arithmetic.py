import pytest

from numsym.errors import InvalidArgumentError
from numsym.tasks import Arithmetic


def test_a_trial_can_be_calculated(generator):
    task = Arithmetic()
    batch = task.sample(200, generator=generator)
    for row, count in zip(batch.input_ids, batch.counts.tolist(), strict=True):
        words = task.text(row).split()
        assert (words[0], words[1], words[-1]) == ("B", str(count), "E")
        value, operations = words[2], " ".join(words[3:-1]).split(" , ")
        assert len(operations) == count
        for operation in operations:
            left, result = operation.split(" = ")
            assert eval(f"{value} {left}") == int(result) <= 20
            value = result


def test_one_intervenes_at_values_operators_and_operands(generator):
    task = Arithmetic(counts=(2,), held_out=())
    batch = task.sample(1, generator=generator)
    assert len(task.text(batch.input_ids[0]).split()) == 13
    assert task.intervenable(batch.input_ids)[0].nonzero().flatten().tolist() == [2, 3, 4, 6, 8, 9, 11]
    places = task.places(batch.input_ids)[0]
    assert places[[2, 3, 4, 6, 8, 9, 11]].tolist() == [4, 0, 1, 3, 0, 1, 3]


def test_k_must_be_a_number_of_the_vocabulary():
    with pytest.raises(
        InvalidArgumentError, match="highest=9 is not allowed: it must be at least the largest count, 20"
    ):
        Arithmetic(highest=9)
