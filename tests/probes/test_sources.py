import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError
from numsym.models import Site
from numsym.probes import residue, spectrum
from numsym.probes.sources import (
    number_embeddings,
    number_frequencies,
    number_tokens,
    number_words,
    prompt_states,
    prompt_states_at,
)


def words(numbers: range) -> PreTrainedTokenizerFast:
    """A vocabulary of whole words: some numbers and a few words, anything else unknown."""
    vocabulary = {"[UNK]": 0, "the": 1, "of": 2, **{str(n): 3 + i for i, n in enumerate(numbers)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def bytes_with_space() -> PreTrainedTokenizerFast:
    """A byte-pair vocabulary in which " 10".." 19" are single tokens and "10".."19" are not."""
    digits = [str(d) for d in range(10)]
    merges = [("Ġ", d) for d in digits] + [("Ġ1", d) for d in digits]
    pieces = ["Ġ", *digits, *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def model(vocab_size: int, tied: bool = True) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size, n_positions=16, n_embd=8, n_layer=2, n_head=2, tie_word_embeddings=tied,
            bos_token_id=None, eos_token_id=None,
        )
    ).eval()  # fmt: skip


def test_without_numbers_it_takes_as_many_as_are_single_tokens():
    numbers, ids = number_tokens(words(range(25)))
    assert numbers == tuple(range(25))
    assert ids.tolist() == list(range(3, 28))


def test_leading_spaces_are_a_choice():
    tokenizer = bytes_with_space()
    ids = number_tokens(tokenizer, range(10, 20), space="with")[1]
    assert tokenizer.convert_ids_to_tokens(ids.tolist()) == [f"Ġ{n}" for n in range(10, 20)]
    assert torch.equal(number_tokens(tokenizer, range(10, 20))[1], ids)
    assert number_tokens(tokenizer, space="without")[0] == tuple(range(10))
    assert number_tokens(tokenizer)[0] == tuple(range(20))
    with pytest.raises(InvalidArgumentError, match=r"10 is not a single token of this tokenizer \(it becomes \['1'"):
        number_tokens(tokenizer, range(10, 20), space="without")


def test_a_number_that_becomes_unknown_is_not_a_token():
    with pytest.raises(InvalidArgumentError, match="7 is not a single token"):
        number_tokens(words(range(7)), range(10))
    with pytest.raises(UnknownNameError, match="either, with, without"):
        number_tokens(words(range(7)), space="maybe")


def test_embedding_and_unembedding_rows_come_by_number():
    tokenizer, untied = words(range(12)), model(20, tied=False)
    numbers, rows = number_embeddings(untied, tokenizer, range(3, 9))
    assert numbers == tuple(range(3, 9))
    assert torch.equal(rows, untied.transformer.wte.weight[6:12])
    assert torch.equal(
        number_embeddings(untied, tokenizer, range(3, 9), where="output")[1], untied.lm_head.weight[6:12]
    )
    with pytest.raises(ModelMismatchError, match="has no unembedding"):
        number_embeddings(untied.transformer, tokenizer, where="output")
    with pytest.raises(ModelMismatchError, match="token id 14 of the tokenizer"):
        number_embeddings(model(8), tokenizer)


@pytest.mark.parametrize(("site", "layer"), [("block_input", 0), ("block_output:0", 1), (None, -1)])
def test_states_are_those_of_the_numbers_last_token(site, layer):
    tokenizer, lm = words(range(12)), model(20)
    states = prompt_states(lm, tokenizer, [4, 7, 11], template="the {n} of", site=site, batch_size=2)
    for n, state in zip((4, 7, 11), states, strict=True):
        hidden = lm(input_ids=torch.tensor([[1, 3 + n, 2]]), output_hidden_states=True).hidden_states
        # The last of transformers' hidden states has been through the final norm.
        read = lm.transformer.ln_f(state) if site is None else state
        torch.testing.assert_close(read, hidden[layer][0, 1])


def test_several_sites_are_read_in_one_run():
    tokenizer, lm, sites = words(range(12)), model(20), [Site("block_output", 0), Site("block_input", 1)]
    runs = []
    handle = lm.register_forward_hook(lambda *_: runs.append(1))
    found = prompt_states_at(lm, tokenizer, [4, 7, 11], sites, template="the {n} of")
    handle.remove()
    assert (list(found), len(runs)) == (sites, 1)
    for site in sites:
        alone = prompt_states(lm, tokenizer, [4, 7, 11], template="the {n} of", site=site)
        torch.testing.assert_close(found[site], alone)


def test_numbers_of_several_tokens_are_read_at_the_last_one():
    tokenizer, lm = bytes_with_space(), model(40)
    states = prompt_states(lm, tokenizer, [3, 47, 12], template=" {n}", site="block_output:0")
    ids = torch.tensor([tokenizer(" 47")["input_ids"]])
    assert ids.shape[1] == 2
    torch.testing.assert_close(states[1], lm(input_ids=ids, output_hidden_states=True).hidden_states[1][0, 1])


def test_a_class_that_pyvene_does_not_know_is_registered():
    from transformers import GPTNeoXConfig, GPTNeoXModel

    config = GPTNeoXConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    states = prompt_states(GPTNeoXModel(config), words(range(12)), [1, 2])
    assert states.shape == (2, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "the"}, "exactly once"),
        ({"template": "{n} {n}"}, "exactly once"),
        ({"site": "block_output:3"}, "no layer 3|3 is not allowed|layer"),
        ({"site": "blocks"}, "unknown component of GPT2LMHeadModel 'blocks'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"numbers": []}, "give at least one"),
    ],
)
def test_bad_prompts_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        prompt_states(model(20), words(range(12)), **{"numbers": [1, 2], **options})


def test_words_and_numbers_of_a_text():
    assert number_words("In 1999, 12 of the 30km were sold; x2 = 7.") == [
        "in", "1999", "12", "of", "the", "30", "km", "were", "sold", "x", "2", "7",
    ]  # fmt: skip


def test_frequencies_of_round_numbers_have_spikes_that_the_probe_does_not_read():
    """The control of [F]: a text in which multiples of 10 and 5 are common has the spectrum, not the geometry."""
    tokens = []
    for n in range(200):
        often = 400 if n % 10 == 0 else 120 if n % 5 == 0 else 40
        tokens += [str(n)] * int(often * math.exp(-n / 60) + 1)
    frequency = number_frequencies(tokens, range(200))
    assert frequency.shape == (200, 1)
    assert {round(period, 1) for period, _ in spectrum(frequency).peaks(4, 3) if period < 11} >= {10.0, 5.0}
    kappa = residue(frequency, (2, 3, 7)).kappa
    assert all(abs(value) < 25 for value in kappa.values())
    with pytest.raises(InvalidArgumentError, match="none of the 10 numbers"):
        number_frequencies(["a", "b"], range(10))
