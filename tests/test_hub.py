import pytest

from numsym.errors import InvalidArgumentError
from numsym.hub import fetch, load_tokenizer


def test_a_tokenizer_object_stays_and_a_missing_one_is_named(tmp_path):
    own = object()
    assert load_tokenizer(own) is own
    with pytest.raises(InvalidArgumentError, match=r"tokenizer='.*none' is not allowed: there is no such folder"):
        load_tokenizer(tmp_path / "none")
    with pytest.raises(InvalidArgumentError, match="the folder holds no tokenizer that transformers reads"):
        load_tokenizer(tmp_path)


def test_of_a_long_error_the_first_line_is_told():
    def read(name):
        raise OSError("\n  no luck with it.\n\nand much more")

    with pytest.raises(InvalidArgumentError, match=r"downloaded from the Hugging Face hub \(no luck with it\)$"):
        fetch("model", "some/name", read)
    assert fetch("model", "some/name", lambda name, much: (name, much), much=3) == ("some/name", 3)
