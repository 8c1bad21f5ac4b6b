import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from numsym.errors import InvalidArgumentError
from numsym.tasks import AdditionPrompts
from numsym.tasks.prompts import encode, names, numbers_in, single_tokens, unused


def characters(extra="", start=False):
    """A tokenizer of single characters, which may put a token before each text."""
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", *"0123456789+= \n", *extra])}
    coded = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    coded.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    if start:
        coded.post_processor = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=coded, unk_token="<unk>", bos_token="<s>", pad_token="<s>")


def test_a_token_before_every_text_is_kept_and_one_after_it_is_not():
    assert encode(characters(), "1+2") == [3, 12, 4]
    assert encode(characters(start=True), "1+2") == [1, 3, 12, 4]
    task = AdditionPrompts(tokenizer=characters(start=True), largest=4, shots=1)
    assert task.sample(2).input_ids[:, 0].tolist() == [1, 1]
    # The usual padding token stands in every trial here, so another one pads.
    assert task.vocabulary.pad != 1


def test_a_split_number_and_an_unknown_word_are_named_with_their_pieces(tokenizer):
    texts, choices = [f"= {n}" for n in range(25)], range(25)
    with pytest.raises(InvalidArgumentError, match=r"number 19 is split into ' 1', '9' by this tokenizer.*: up to 18"):
        single_tokens(tokenizer, texts, choices, "number", [f"up to {n - 1}" for n in choices])
    before, ids = single_tokens(tokenizer, texts[:19], choices[:19], "number", [""] * 19)
    assert [tokenizer.decode([*before, i]) for i in ids] == texts[:19]
    said = "word x is not allowed: it is not in the vocabulary of this tokenizer: take another"
    with pytest.raises(InvalidArgumentError, match=said):
        single_tokens(characters(), ["= x"], ["x"], "word", ["take another"])
    unnamed = characters()
    unnamed.unk_token = None
    assert unnamed.unk_token_id is None
    with pytest.raises(InvalidArgumentError, match=said):
        single_tokens(unnamed, ["= x"], ["x"], "word", ["take another"])


def test_a_space_of_its_own_is_a_part_of_the_prompt():
    before, ids = single_tokens(characters(), [f"= {n}" for n in range(10)], range(10), "number", [""] * 10)
    assert (before, ids) == ([13, 14], list(range(2, 12)))
    start, numbers = numbers_in(characters(), "= ", 0, 12)
    assert (start, numbers.ids[7], numbers.ids[12]) == ([13, 14], (9,), (3, 4))


def test_padding_is_a_token_that_never_occurs(tokenizer):
    assert unused(tokenizer, set()) == tokenizer.eos_token_id
    assert unused(tokenizer, {tokenizer.eos_token_id, 1}) == 2
    with pytest.raises(InvalidArgumentError, match="each of its 16 tokens occurs in trials, and none is left to pad"):
        unused(characters(), set(range(16)))
    assert names(tokenizer)[tokenizer.eos_token_id] == "<|end|>"


def test_a_tokenizer_that_reads_across_the_parts_is_refused():
    merged = characters(extra=["1 + 1"])
    merged.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"1 \+ 1|[\s\S]"), "isolated")
    with pytest.raises(InvalidArgumentError, match=r"tokenizer is not allowed: it reads '1 \+ 1 = 2' not as its parts"):
        AdditionPrompts(tokenizer=merged, largest=2, shots=0)


def test_a_number_that_is_read_with_what_stands_before_it_or_not_at_all_is_named():
    merged = characters(extra=["=1"])
    merged.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"=1|[\s\S]"), "isolated")
    with pytest.raises(InvalidArgumentError, match="it reads number 1 together with what stands before it, as '=1'"):
        numbers_in(merged, "=", 0, 1)
    with pytest.raises(InvalidArgumentError, match="number 0 is not allowed: it is not in the vocabulary of this"):
        numbers_in(characters(), "x", 0, 1)


def right_of(task, wanted):
    """The task with those trials whose sum is wanted."""
    return task.answered_by(lambda batch: torch.isin(batch.counts, torch.tensor(wanted)))


def test_only_trials_that_are_answered_rightly_are_drawn():
    task = AdditionPrompts(tokenizer=characters(), largest=4, shots=1)
    asked = right_of(task, [2, 3, 5])
    assert set(asked.sample(200).counts.tolist()) == {2, 3, 5}
    assert set(task.sample(200).counts.tolist()) == set(range(9))
    assert (asked.answered.n, asked.answered.value) == (25, 11 / 25)
    assert (asked.asked(), task.answered) == (task.asked(), None)
    assert asked.sample(1, plan={"a": torch.tensor([0]), "b": torch.tensor([0])}).counts.tolist() == [0]
