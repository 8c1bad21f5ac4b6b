"""What is measured of one model, against its parts."""

import pytest
import torch

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts, SearchSettings, Share, Site, measured_pairs
from numsym.alignment.controls import CONTROLS
from numsym.alignment.one_model import OneModel
from numsym.alignment.subject import find
from numsym.models.weights import hash_of

COUNTS = PairCounts(train=200, validation=40, test=60)
SETTINGS = SearchSettings(max_steps=4, check_every=2, learning_rate=0.02)


@pytest.fixture
def found(counter, small_task):
    subject = OneModel(counter, small_task, Site(), COUNTS, None, "auto")
    with frozen(counter):
        (one,) = find(subject, [Hypothesis(subspace_dim=4).checked(small_task, 16)], SETTINGS, CONTROLS)
        yield subject, one


def test_a_result_says_what_was_found(found, counter, small_task):
    subject, one = found
    result = subject.result(one, hash_of(counter))
    assert result.test.iia == Share.of(one.right(measured_pairs(small_task, Hypothesis(subspace_dim=4), COUNTS)))
    assert set(result.controls) == set(CONTROLS)
    assert (result.steps, result.engine, result.subspace_dim) == (4, "resumed", 4)
    assert result.free_running.n == 60
    assert set(result.held_out.by_base_count) == {3}


def test_a_result_says_from_which_start_it_was_found(found, counter):
    subject, one = found
    result = subject.result(one, hash_of(counter))
    assert result.starts[result.start] <= result.ends[result.start] == max(result.ends.values())
    assert len(result.ends) == SETTINGS.tries < len(result.starts)
    assert "random" in result.starts


def test_what_the_pairs_show_is_what_the_site_holds_where_they_meet(counter, small_task):
    subject = OneModel(counter, small_task, Site(), COUNTS, None, "auto")
    pairs = subject.draw(Hypothesis()).train
    seen = subject.seen(Hypothesis().of(small_task), pairs)
    states = counter.states(pairs.source_ids, pairs.source_mask)[0]
    torch.testing.assert_close(seen.source.float(), states[torch.arange(len(pairs)), pairs.source_at])
    assert torch.equal(seen.source_values[:, seen.names.index("count")], pairs.source_value)
    assert torch.equal(seen.wanted[:, 1], pairs.source_value)
    assert torch.equal(seen.wanted[:, 0], seen.base_values[:, 0])


def test_the_ceiling_is_of_everything_exchanged_and_the_twin_has_other_weights(found):
    _, one = found
    assert one.controls["ceiling"].value > 0.95
    assert one.controls["untrained"].value < 0.5
    assert one.data.everything.variables == ("full",)


def test_where_nothing_can_run_on_there_is_no_free_running(counter, small_task):
    subject = OneModel(counter, small_task, Site(), COUNTS, None, "pyvene")
    with frozen(counter):
        (one,) = find(subject, [Hypothesis(subspace_dim=4).checked(small_task, 16)], SETTINGS, ())
        result = subject.result(one, "")
    assert (result.free_running, result.tokens_off, result.engine) == (None, None, "pyvene")
    assert torch.equal(one.right(one.data.test), one.right(one.data.test))
