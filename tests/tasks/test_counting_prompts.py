import pytest

from numsym.alignment import interchange_pairs
from numsym.errors import InvalidArgumentError
from numsym.tasks import CountingPrompts


def last_line(task, ids):
    items, answer = task.text(ids).strip().split("\n")[-1].split(" = ")
    return items.split()[1:], int(answer)


def test_a_trial_is_the_tokenizers_reading_of_its_text(tokenizer, generator):
    task = CountingPrompts(tokenizer=tokenizer, largest=6, held_out=(4,))
    batch = task.sample(60, generator=generator)
    for row, ids in enumerate(batch.input_ids):
        items, answer = last_line(task, ids)
        assert len(items) == answer == int(batch.counts[row])
        assert set(items) == {task.words[int(batch.plan["word"][row])]}
        assert tokenizer(task.text(ids))["input_ids"] == ids[batch.mask[row]].tolist()
    assert batch.predictable.sum(1).tolist() == [1] * 60
    assert set(task.sample(100, split="train", generator=generator).counts.tolist()) == {1, 2, 3, 5, 6}
    assert set(task.sample(9, split="held_out", generator=generator).counts.tolist()) == {4}


@pytest.mark.parametrize("place", ["item", "last"])
def test_the_counterfactual_is_the_exchanged_count_and_what_was_to_come(tokenizer, generator, place):
    task = CountingPrompts(tokenizer=tokenizer, largest=5, intervene_at=place)
    pairs = interchange_pairs(task, task.program(), ("count",), 60, generator=generator)
    for row in range(60):
        items, answer = last_line(task, pairs.base_ids[row])
        assert answer == len(items) - int(pairs.base_value[row]) + int(pairs.source_value[row])
        at = tokenizer.decode([int(pairs.base_ids[row, pairs.base_at[row]])]).strip()
        assert at == (items[0] if place == "item" else "=")
    assert (pairs.base_value != pairs.source_value).any()


def test_what_is_not_allowed(tokenizer):
    for change, said in (
        ({"largest": 1}, "largest=1 is not allowed: it must be at least 2"),
        ({"held_out": (12,)}, r"held_out=\(12,\) with words=.* is not allowed"),
        ({"words": ()}, r"words=\(\) is not allowed"),
        ({"words": ("apple", "pear")}, "word pear is split into ' ', 'p', .* by this tokenizer.*: take other words"),
        ({"intervene_at": "first"}, "unknown intervene_at 'first': choose one of item, last"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            CountingPrompts(tokenizer=tokenizer, **change)


def test_a_number_may_be_several_tokens_and_landmarks_are_named(tokenizer, generator):
    task = CountingPrompts(tokenizer=tokenizer, largest=25)
    assert max(map(len, task.vocabulary.numbers.ids)) == 2
    batch = task.sample(60, generator=generator)
    for row, ids in enumerate(batch.input_ids):
        items, answer = last_line(task, ids)
        assert len(items) == answer
        where = {name: int(at[row]) for name, at in task.landmarks(batch.input_ids).items()}
        assert where["last_item"] - where["first_item"] == answer - 1
        assert tokenizer.decode(ids[where["last_item"]]).strip() == items[0]
        assert tokenizer.decode(ids[where["last"]]).strip() == "="
