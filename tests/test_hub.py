import copy
import pickle
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from jaxtyping import Float
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.hub import fetch, load_tokenizer
from numsym.results import Result, beside
from numsym.shares import Share

SERVER = runpy.run_path(str(Path(__file__).parent / "hub_on_loopback.py"))


def test_a_tokenizer_object_stays_and_a_missing_one_is_named(tmp_path):
    own = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    assert load_tokenizer(own) is own
    with pytest.raises(InvalidArgumentError, match="give a tokenizer of transformers, its folder, or its name"):
        load_tokenizer(object())
    with pytest.raises(InvalidArgumentError, match=r"tokenizer='.*none' is not allowed: there is no such folder"):
        load_tokenizer(tmp_path / "none")
    with pytest.raises(InvalidArgumentError, match="the folder holds no tokenizer that transformers reads"):
        load_tokenizer(tmp_path)


def test_of_a_long_error_the_first_line_is_told():
    def read(name, **options):
        raise OSError("\n  no luck with it.\n\nand much more")

    with pytest.raises(InvalidArgumentError, match=r"downloaded from the Hugging Face hub \(no luck with it\)$"):
        fetch("model", "some/name", read)
    # No code that comes with a model is run unasked.
    asked = {"trust_remote_code": False, "much": 3}
    assert fetch("model", "some/name", lambda name, **options: (name, options), much=3) == ("some/name", asked)


@dataclass(frozen=True, repr=False)
class Half(Result):
    """A result of a user's own."""

    share: Share
    seen: Float[Tensor, "n"] = beside()

    title = "Heads | tails"
    question = "Is it fair?"
    notes = "A coin."

    def rows(self):
        return [{"coin": "a|b", "heads": self.share}]

    def facts(self):
        return {"Coin": "a *fair* one"}

    def findings(self):
        return [("perhaps", "it fell twice")]


@pytest.fixture
def half():
    return Half(Share.of_counts(1, 2), torch.arange(3.0))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with SERVER["serving"](monkeypatch, tmp_path / "cache") as served:
        yield served


def test_a_result_is_pushed_in_one_commit_and_comes_back(half, hub):
    address = half.push_to_hub("me/coin", token="hf_right")
    assert address == f"{hub.address}/me/coin/commit/{'c' * 40}"
    assert hub.commits == [("me/coin", "Push Half by numsym")]
    assert sorted(hub.repos["me/coin"]) == ["README.md", "config.json", "result.json", "tensors.safetensors"]
    hub.repos["me/coin"]["evil.py"] = hub.repos["me/coin"]["weights.bin"] = b"raise SystemExit"
    again = Half.from_pretrained("me/coin")
    assert (again.share, again.seen.tolist()) == (half.share, [0, 1, 2])
    assert not any("evil.py" in path or "weights.bin" in path for path in hub.asked)


def test_who_is_logged_in_needs_no_token(half, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    half.push_to_hub("me/coin")
    assert set(hub.repos) == {"me/coin"}


def test_without_a_login_nothing_is_asked_of_the_hub(half, hub):
    with pytest.raises(InvalidArgumentError, match=r"nobody is logged in to the Hugging Face hub; run `hf auth login`"):
        half.push_to_hub("me/coin")
    assert hub.asked == []


def test_what_the_hub_refuses_is_one_sentence(half, hub):
    for repo_id, message in (("me/coin", "it cannot be pushed to"), ("a b/c/d", "it cannot be pushed to")):
        with pytest.raises(InvalidArgumentError, match=rf"repo_id='{repo_id}' is not allowed: {message}") as caught:
            half.push_to_hub(repo_id, token="hf_wrong")
        assert "\n" not in str(caught.value)
    with pytest.raises(
        InvalidArgumentError, match="it is no folder, and cannot be read from the Hugging Face hub"
    ) as c:
        Half.from_pretrained("me/none")
    assert "\n" not in str(c.value)
    assert hub.repos == {}


def test_a_hub_that_is_not_there_is_one_sentence(half, hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the tries of huggingface_hub
    hub.shutdown()
    hub.server_close()
    with pytest.raises(InvalidArgumentError, match="it cannot be pushed to the Hugging Face hub"):
        half.push_to_hub("me/coin", token="hf_right")
    with pytest.raises(InvalidArgumentError, match="cannot be read from the Hugging Face hub"):
        Half.from_pretrained("me/coin")


def test_what_cannot_be_written_makes_no_repository(hub):
    class Broken(Half):
        def write(self, folder):
            raise InvalidArgumentError("not whole")

    with pytest.raises(InvalidArgumentError, match="not whole"):
        Broken(Share.of_counts(1, 2), torch.zeros(1)).push_to_hub("me/coin", token="hf_right")
    assert hub.asked == []


def test_the_card_reads_as_it_is(half, tmp_path):
    half.save_pretrained(tmp_path / "coin")
    card = ModelCard.load(tmp_path / "coin" / "README.md")
    assert (card.data.library_name, "numsym" in card.data.tags) == ("numsym", True)
    said = [
        "# Heads | tails",
        "Is it fair?",
        "## What came out",
        "- **perhaps**: it fell twice",
        "- **Coin**: a *fair* one",
    ]
    assert [line for line in card.text.splitlines() if line][:5] == said
    assert "| coin | heads |\n| --- | --- |\n| a\\|b | 50.0 [9.5, 90.5] |" in card.text
    assert "A coin." in card.text
    assert 'import Half\n\nfound = Half.from_pretrained("USER/NAME")' in card.text
    assert Half.from_pretrained(tmp_path / "coin").share == half.share
    with pytest.raises(RunFolderError, match="exists already"):
        half.save_pretrained(tmp_path / "coin")
    with pytest.raises(InvalidArgumentError, match=r"there is no result\.json in it"):
        Half.from_pretrained(tmp_path)


def test_results_are_frozen_and_copied_as_before(half):
    assert copy.copy(half) == half
    assert pickle.loads(pickle.dumps(Share.of_counts(1, 2))) == half.share
    with pytest.raises(AttributeError):
        half.share = None
