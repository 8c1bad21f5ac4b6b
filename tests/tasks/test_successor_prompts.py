import pytest

from numsym.alignment import interchange_pairs
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import SuccessorPrompts


def numbers(task, ids):
    return [int(word) for word in task.text(ids).strip().split("\n")[-1].removeprefix(task.opening).split()]


@pytest.mark.parametrize("shots", [0, 2])
def test_numbers_follow_each_other_and_the_last_is_predicted(tokenizer, generator, shots):
    task = SuccessorPrompts(tokenizer=tokenizer, largest=30, shots=shots, opening="Count:", held_out=(7,))
    batch = task.sample(60, generator=generator)
    for row, ids in enumerate(batch.input_ids):
        found = numbers(task, ids)
        assert found == list(range(found[0], found[0] + 4))
        assert found[-1] == int(batch.counts[row])
        assert task.text(ids[batch.predictable[row]]).strip() == str(found[-1])
        assert tokenizer(task.text(ids))["input_ids"] == ids[batch.mask[row]].tolist()
    assert set(task.sample(9, split="held_out", generator=generator).counts.tolist()) == {7}
    assert 7 not in task.sample(200, split="train", generator=generator).counts


@pytest.mark.parametrize("place", ["number", "last"])
def test_after_an_exchange_the_sources_successor_is_said(tokenizer, generator, place):
    task = SuccessorPrompts(tokenizer=tokenizer, largest=25, opening="Count:", intervene_at=place)
    pairs = interchange_pairs(task, task.program(), ("number",), 60, generator=generator)
    for row in range(60):
        base, source = numbers(task, pairs.base_ids[row]), numbers(task, pairs.source_ids[row])
        assert base[-1] == source[-1] + 1 == int(pairs.source_value[row]) + 1
        assert base[-2] == int(pairs.base_value[row])
    assert pairs.changed.any()


def test_what_is_not_allowed(tokenizer):
    for change, said in (
        ({"largest": 3}, "largest=3 is not allowed: it must be at least 4"),
        ({"length": 0}, "length=0 is not allowed: it must be at least 1"),
        ({"held_out": (2,)}, r"held_out=\(2,\) is not allowed: held-out answers lie in 3\.\.9"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            SuccessorPrompts(tokenizer=tokenizer, **change)
    with pytest.raises(UnknownNameError, match="unknown intervene_at 'first': choose one of last, number"):
        SuccessorPrompts(tokenizer=tokenizer, intervene_at="first")
