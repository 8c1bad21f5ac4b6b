"""What a model's forward is given, by hand-made models that write down what they were called with."""

import itertools
import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from numsym.errors import ModelMismatchError
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.models.logits import by_length, check_vocabulary, kept, model_inputs, next_token_logits
from numsym.tasks import AdditionPrompts, MultiObject

MASK = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
IDS = torch.tensor([[0, 0, 4, 5, 6], [4, 5, 6, 0, 0]])
KEEP = torch.tensor([[0, 0, 1, 0, 1], [0, 0, 1, 0, 0]], dtype=torch.bool)


class Plain(nn.Module):
    """Its logits name the row and the position: 10 row + position."""

    def forward(self, input_ids, attention_mask=None):
        rows, positions = (torch.arange(n, dtype=torch.float) for n in input_ids.shape)
        return {"logits": (10 * rows[:, None] + positions)[..., None]}


class Columns(Plain):
    """As transformers' models are called: it decodes whole columns."""

    def forward(self, input_ids, attention_mask=None, position_ids=None, use_cache=None, logits_to_keep=0):
        logits = super().forward(input_ids)["logits"]
        return {"logits": logits[:, logits_to_keep]}


class Positions(Plain):
    """As numsym's own: it decodes single positions."""

    keeps_positions = True

    def forward(self, input_ids, attention_mask=None, logits_to_keep=None):
        return {"logits": super().forward(input_ids)["logits"][logits_to_keep]}


def test_a_forward_is_given_only_what_it_takes():
    assert set(model_inputs(Plain(), IDS, MASK, KEEP)) == {"input_ids", "attention_mask"}
    given = model_inputs(Columns(), IDS, MASK)
    assert given["use_cache"] is False
    assert given["attention_mask"].tolist() == MASK.long().tolist()
    # Counted from the first real token, on whichever side the padding is.
    assert [row[real].tolist() for row, real in zip(given["position_ids"], MASK, strict=True)] == [[0, 1, 2]] * 2
    assert model_inputs(Columns(), IDS, MASK, KEEP)["logits_to_keep"].tolist() == [2, 4]


def test_a_forward_with_other_names_is_referred_to_load():
    class Mine(nn.Module):
        def forward(self, tokens):
            return tokens

    with pytest.raises(ModelMismatchError, match=r"Mine is not allowed: its forward takes no `input_ids`.*models.load"):
        model_inputs(Mine(), IDS, MASK)


@pytest.mark.parametrize("model", [Plain(), Columns(), Positions()])
def test_the_logits_kept_are_those_of_the_positions_however_the_model_decodes(model):
    logits = model(**model_inputs(model, IDS, MASK, KEEP))["logits"]
    assert kept(model, logits, KEEP)[:, 0].tolist() == [2, 4, 12]


def test_only_predictable_tokens_are_asked_for(generator):
    task = MultiObject()
    batch = task.sample(20, generator=generator)
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8)).eval()
    logits, targets, keep = next_token_logits(model, batch)
    words = {task.vocabulary.tokens[i] for i in targets.tolist()}
    assert words == {"R", "E"}
    assert len(logits) == len(targets) == int(keep.sum()) == int((batch.counts + 1).sum())


def test_rows_are_parted_by_length_unless_the_model_packs(generator):
    batch = MultiObject().sample(20, generator=generator)
    parts = by_length(Plain(), batch, 4)
    assert sorted(torch.cat(parts).tolist()) == list(range(20))
    ordered = [batch.lengths[rows] for rows in parts]
    assert all(a.max() <= b.min() for a, b in itertools.pairwise(ordered))
    assert [rows.tolist() for rows in by_length(RecurrentLM(RecurrentConfig()), batch, 4)] == [list(range(20))]


def test_a_model_has_a_logit_for_each_token():
    check_vocabulary(Plain(), MultiObject())  # no config, nothing to check
    with pytest.raises(ModelMismatchError, match="vocab_size=4 of the model is not allowed: multi_object has 9 tokens"):
        check_vocabulary(RecurrentLM(RecurrentConfig(vocab_size=4)), MultiObject())


def test_a_tokenizer_that_does_not_fit_is_told(tokenizer):
    model = RecurrentLM(RecurrentConfig(vocab_size=5, hidden_size=4))
    said = r"vocab_size=5 of the model is not allowed: the tokenizer of addition_prompts gives ids up to \d+: take the"
    with pytest.raises(ModelMismatchError, match=said):
        check_vocabulary(model, AdditionPrompts(tokenizer=tokenizer, largest=3))


@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_trials_longer_than_a_table_of_positions_are_refused(name):
    small = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))["small"]
    model = small(name)
    most = model.config.max_position_embeddings
    ids = torch.ones(2, most + 1, dtype=torch.long)
    mask = torch.arange(most + 1) >= torch.tensor([[1], [3]])
    model_inputs(model, ids, mask)
    with pytest.raises(ModelMismatchError, match=f"trials of {most + 1} tokens .* it has positions for {most}; try"):
        model_inputs(model, ids, torch.ones_like(mask))
    model_inputs(small("llama"), torch.ones(1, 1000, dtype=torch.long), torch.ones(1, 1000, dtype=torch.bool))
