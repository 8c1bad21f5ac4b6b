"""The order of a search's work, on the usual subject."""

from dataclasses import replace

import pytest
import torch

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts, SearchSettings, Share, Site
from numsym.alignment.one_model import OneModel
from numsym.alignment.subject import find, train
from numsym.models.recurrent import RecurrentConfig, RecurrentLM

COUNTS = PairCounts(train=200, validation=40, test=60)
SETTINGS = SearchSettings(max_steps=6, check_every=3, learning_rate=0.02)


@pytest.fixture
def subject(counter, small_task):
    return OneModel(counter, small_task, Site(), COUNTS, None, "auto")


def asked(subject, **options):
    return Hypothesis(subspace_dim=4, **options).checked(subject.task, 16)


def test_controls_change_nothing_of_what_is_found(subject):
    hypotheses, told = [asked(subject, alignment=name) for name in ("linear", "orthogonal")], []
    with frozen(subject.model):
        alone = find(subject, hypotheses, SETTINGS, ())
        with_all = find(
            subject, hypotheses, SETTINGS, ("floor", "permuted", "untrained"), lambda i, record: told.append(i)
        )
    for bare, one in zip(alone, with_all, strict=True):
        losses = [[record["loss"] for record in each.progress.records] for each in (bare, one)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # batched with others, sums are rounded otherwise
        assert torch.equal(bare.right(bare.data.test), one.right(one.data.test))
        assert bare.controls == {}
        assert list(one.controls) == ["floor", "permuted", "untrained"]
    assert told == [0, 1, 0, 1]  # nothing of the permuted searches, which run in the same batch


def test_hypotheses_of_one_variable_and_seed_share_their_pairs_and_the_controls_without_a_search(subject):
    hypotheses = [asked(subject), asked(subject, alignment="orthogonal"), asked(subject, seed=1)]
    with frozen(subject.model):
        first, second, other = find(subject, hypotheses, SETTINGS, ("floor",))
    assert first.data is second.data
    assert first.data is not other.data
    assert first.controls["floor"] == second.controls["floor"]


def test_the_permuted_control_is_the_same_search_on_permuted_pairs(subject):
    hypothesis = asked(subject)
    with frozen(subject.model):
        (found,) = find(subject, [hypothesis], SETTINGS, ("permuted",))
        mixed = found.data.permuted(hypothesis.seed)
        alone = train(subject, [hypothesis], [mixed], SETTINGS)
    assert found.controls["permuted"] == Share.of(alone.right(0, mixed.test))


def test_a_wide_site_is_searched_at_the_rate_of_its_width(small_task):
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=small_task.vocab_size, hidden_size=64))
    wide = OneModel(model, small_task, Site(), COUNTS, None, "auto")
    settings = SearchSettings(max_steps=2, check_every=1)
    searches = []
    with frozen(wide.model):
        for each in (settings, replace(settings, learning_rate=0.03 * 50 / 64), replace(settings, learning_rate=0.03)):
            (found,) = find(wide, [Hypothesis("up_down", "count", "linear", 4).checked(small_task, 64)], each, ())
            searches.append([record["loss"] for record in found.progress.records])
    assert searches[0] == searches[1] != searches[2]


@pytest.mark.parametrize(("rate", "told"), [(10.0, True), (1e-6, False)])
def test_a_search_that_only_fell_from_its_start_says_so(subject, rate, told, caplog):
    """A count by hand is found from the states alone; steps that are much too large lose it."""
    hypothesis = Hypothesis("up_down", "count", "linear", 2).checked(subject.task, 16)
    settings = SearchSettings(max_steps=6, check_every=3, learning_rate=rate, stop_at=1.0, tries=1)
    with frozen(subject.model):
        (found,) = find(subject, [hypothesis], settings, ())
    first, *_, last = found.progress.records
    assert (last["iia"] < first["iia"] - 0.05) == told
    assert ("count (linear) stays at its start: 6 steps at learning_rate=10 took" in caplog.text) == told
