import pytest
import torch
from torch import nn

from numsym.models.adders import build_tied
from numsym.tasks.corpus import Corpus, labelled_corpus
from numsym.training.corpus import Reading, train_on_corpus

MADE = labelled_corpus(numbers=20, sentences=400, per_row=2)


def model(seed=0):
    return build_tied("gru", len(MADE.tokens), MADE.rows.shape[1], width=8, seed=seed)


def test_the_loss_is_that_of_every_token_but_the_first_and_the_padding():
    made, network = MADE, model()
    (loss,) = Reading(made)(network, made.rows[:5])
    total, count = 0.0, 0
    for row in made.rows[:5]:
        words = row[row != made.pad]
        logits = network(input_ids=words[None, :-1])["logits"][0]
        total += nn.functional.cross_entropy(logits, words[1:], reduction="sum").item()
        count += len(words) - 1
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_it_learns_and_counts_the_numbers_that_it_has_seen():
    settings = {"steps": 60, "batch_size": 50, "checks": 3, "learning_rate": 4e-2}
    log = train_on_corpus(model(), MADE, settings, measure=lambda net: {"width": 8})
    assert [record["step"] for record in log.records] == [0, 20, 40, 60]
    assert log.records[-1]["loss"] < log.records[0]["loss"] - 0.5
    seen = [record["numbers"] for record in log.records]
    rows = 200 // 50
    every = int((MADE.rows < 20).sum())
    assert seen[0] == 0
    assert seen[3] == pytest.approx(every * 60 / rows, rel=0.02)
    assert all(record["width"] == 8 for record in log.records)


def test_the_seed_decides_the_order():
    ends = []
    for seed in (0, 0, 1):
        network = model()
        train_on_corpus(network, MADE, {"steps": 3, "batch_size": 20, "checks": 1}, seed=seed)
        ends.append(network.get_input_embeddings().weight.detach())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_fewer_rows_than_a_batch_are_one_batch():
    few = Corpus(MADE.rows[:3], MADE.tokens, MADE.count, MADE.pad)
    log = train_on_corpus(model(), few, {"steps": 2, "batch_size": 64, "checks": 1})
    assert log.records[-1]["numbers"] == 2 * int((few.rows < 20).sum())
