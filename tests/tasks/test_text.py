import pytest

from numsym.errors import InvalidArgumentError
from numsym.tasks.text import PATTERNS, read_text, text_corpus, train_tokenizer

TEXT = [f"In {n} we paid {n + 1}." for n in range(40) for _ in range(3)]


def pieces(cut, text="x12 paid 12345, 007 or 123456"):
    tokenizer, _ = train_tokenizer([*TEXT, text], cut=cut, least=1)
    return tokenizer.encode(text).tokens


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("one", "x 12 paid 12345 , 007 or 123456"),
        ("digits", "x 1 2 paid 1 2 3 4 5 , 0 0 7 or 1 2 3 4 5 6"),
        ("left", "x 12 paid 123 45 , 007 or 123 456"),
        ("right", "x 12 paid 12 345 , 007 or 123 456"),
    ],
)
def test_numbers_are_cut_as_asked(cut, expected):
    assert pieces(cut) == expected.split()


def test_the_ids_of_numbers_are_the_numbers():
    tokenizer, count = train_tokenizer(TEXT, least=3)
    assert count == 40
    assert [tokenizer.token_to_id(str(n)) for n in range(40)] == list(range(40))
    assert tokenizer.encode("In 7 we PAID 8 zebras.").ids[1] == 7
    assert tokenizer.encode("zebras").tokens == ["<unk>"]


def test_a_text_becomes_rows_of_its_tokens_in_order():
    tokenizer, count = train_tokenizer(TEXT, least=3)
    made = text_corpus(TEXT, tokenizer, count, length=10)
    assert made.rows.shape == (120 * 6 // 10, 10)
    assert made.sentences()[0] == ["in", "0", "we", "paid", "1", ".", "in", "0", "we", "paid"]
    assert made.occurrences.tolist()[:2] == [3, 6]
    assert made.tokens[made.pad] == "<pad>"


def test_only_the_most_frequent_words_have_a_token():
    tokenizer, count = train_tokenizer(TEXT, least=3, vocabulary=2)
    assert len(tokenizer.get_vocab()) == count + 2 + 2


def test_files_are_read_line_by_line(tmp_path):
    (tmp_path / "a.txt").write_text("one 1\ntwo 2\n")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9 3\n")
    assert read_text(tmp_path / "a.txt") == ["one 1", "two 2"]
    assert read_text(f"{tmp_path}/*.txt") == ["one 1", "two 2", "caf\ufffd 3"]


def test_what_is_missing_or_too_small_is_said(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"text='.*nothing\*' is not allowed: no file"):
        read_text(f"{tmp_path}/nothing*")
    with pytest.raises(InvalidArgumentError, match="unknown cut 'middle': choose one of digits, left, one, right"):
        train_tokenizer(TEXT, cut="middle")
    with pytest.raises(InvalidArgumentError, match="too small for numbers: 0 occurs 0 times"):
        train_tokenizer(["no number at all"])
    with pytest.raises(InvalidArgumentError, match="numbers=50 is not allowed: 41 occurs 0 times"):
        train_tokenizer(TEXT, least=3, numbers=50)


def test_every_cut_has_a_pattern():
    assert set(PATTERNS) == {"one", "digits", "left", "right"}


def test_a_text_where_its_place_should_be_is_a_sentence():
    with pytest.raises(
        InvalidArgumentError, match=r"^text='one word.{20,60}… is not allowed: no file, and no data set"
    ):
        read_text("one word after another " * 500)
