import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numsym.programs.base import exchange, state_at, unroll
from numsym.programs.written_addition import CUTS, ChunkVocabulary
from numsym.tasks import WrittenAdditionTask


def written(number: int, size: int, cut: str) -> list[str]:
    """The tokens of a number, by slicing its text."""
    text = str(number)
    short = -len(text) % size
    if cut == "left_padded":
        text += "0" * short
    if cut == "right_padded":
        text = "0" * short + text
    if cut == "right":
        first = len(text) % size or size
        return [text[:first], *(text[i : i + size] for i in range(first, len(text), size))]
    return [text[i : i + size] for i in range(0, len(text), size)]


def trial(a: int, b: int, **settings) -> str:
    task = WrittenAdditionTask(**settings)
    return task.text(task.sample(1, plan={"a": torch.tensor([a]), "b": torch.tensor([b])}).input_ids[0])


@pytest.mark.parametrize(
    ("cut", "answer"),
    [("left", "12 34 5"), ("right", "1 23 45"), ("left_padded", "12 34 50"), ("right_padded", "01 23 45")],
)
def test_a_sum_with_a_digit_more_is_cut_as_it_says(cut, answer):
    assert trial(9305, 3040, cut=cut) == f"93 05 + 30 40 = {answer} E"
    assert trial(1200, 3007, cut=cut) == "12 00 + 30 07 = 42 07 E"


@settings(deadline=None)
@given(st.sampled_from(CUTS), st.sampled_from([(4, 2), (3, 3), (6, 3), (2, 1), (6, 2)]), st.data())
def test_it_is_what_slicing_the_text_gives(cut, shape, data):
    digits, chunk = shape
    numbers = st.integers(10 ** (digits - 1), 10**digits - 1)
    a, b = data.draw(numbers), data.draw(numbers)
    parts = [" ".join(written(number, chunk, cut)) for number in (a, b, a + b)]
    assert trial(a, b, digits=digits, chunk=chunk, cut=cut) == "{} + {} = {} E".format(*parts)


def test_strings_of_digits_have_a_token_each_numbers_of_full_length_first():
    vocabulary = ChunkVocabulary.build(3)
    assert len(vocabulary) == 1110 + 4 == len(set(vocabulary.tokens))
    assert vocabulary.tokens[:3] == ("000", "001", "002")
    assert [vocabulary.tokens[i] for i in (vocabulary.plus, vocabulary.equals, vocabulary.end, vocabulary.pad)] == [
        *"+=EP"
    ]
    ids = torch.arange(len(vocabulary))
    value, length = vocabulary.strings(ids)
    for i, name in enumerate(vocabulary.tokens[:1110]):
        assert (int(value[i]), int(length[i])) == (int(name), len(name))
    assert torch.equal(vocabulary.ids(value, length)[:1110], ids[:1110])
    assert length[1110:].tolist() == [0] * 4


def test_exchanging_a_number_changes_the_answer_accordingly():
    task = WrittenAdditionTask(digits=2, chunk=1)
    base, source = (task.sample(30, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    at = torch.full((30,), 5)
    answer = unroll(task.program(), exchange(state_at(base.states, at), state_at(source.states, at), ("left",))).tokens
    for row, a, b in zip(answer, source.plan["a"].tolist(), base.plan["b"].tolist(), strict=True):
        assert task.text(row).split()[:-1] == list(str(a + b))
