"""The four directions between two networks: whose trials, whose sources, and what its twins are."""

from dataclasses import replace

import pytest
import torch

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts, SearchSettings, interchange_pairs
from numsym.alignment.engines.cross import ALL, Side
from numsym.alignment.subject import find, train
from numsym.alignment.two_models import TwoModels
from numsym.models import counting_gru
from numsym.tasks import TASKS, MultiObject

MULTI = MultiObject(counts=range(1, 6), held_out=(4,))
SINGLE = TASKS["single_object"](counts=range(1, 6), held_out=())
COUNTS, SETTINGS = (
    PairCounts(train=80, validation=20, test=30),
    SearchSettings(max_steps=2, check_every=1, starts="random"),
)


@pytest.fixture
def subject():
    sides = (
        Side("a", counting_gru(MULTI.vocabulary, width=6), MULTI),
        Side("b", counting_gru(SINGLE.vocabulary, width=8, seed=3), SINGLE),
    )
    return TwoModels(sides, COUNTS)


def test_each_direction_has_pairs_of_its_own_from_the_right_tasks(subject):
    data = subject.draw(subject.checked(Hypothesis(seed=2)))
    assert list(data.train) == list(ALL)
    for number, (a, b) in enumerate(ALL):
        (giving, taking), generator = ((MULTI, SINGLE)[i] for i in (a, b)), torch.Generator().manual_seed(8 + number)
        expected = interchange_pairs(
            taking, taking.program(), ("count",), 80, generator=generator, source=(giving, giving.program())
        )
        assert torch.equal(data.train[a, b].base_ids, expected.base_ids)
        assert torch.equal(data.train[a, b].source_ids, expected.source_ids)
        seen = set(expected.keys())
        assert not seen & set(data.test[a, b].keys())
        assert len(data.test[a, b]) == 30
    assert set(data.held_out) == {(0, 0)}  # the other task holds nothing out
    assert data.everything is None


def test_the_functions_standardise_the_states_that_they_are_searched_on(subject):
    hypothesis = subject.checked(Hypothesis())
    data = subject.draw(hypothesis)
    with frozen(*subject.models):
        engine = subject.engine([hypothesis], [data])
        part = engine.prepare(data.train)[0, 1]
    torch.testing.assert_close(engine.interventions[0][0].std, part.source.std(0), atol=1e-4, rtol=1e-2)
    assert all(one.bias.requires_grad for one in engine.interventions[0])


def test_untrained_has_the_directions_across_and_permuted_all(subject):
    hypothesis = subject.checked(Hypothesis(subspace_dim=2))
    with frozen(*subject.models):
        (found,) = find(subject, [hypothesis], SETTINGS, ("floor", "permuted", "untrained"))
        mixed = found.data.permuted(hypothesis.seed)
        alone = train(subject, [hypothesis], [mixed], SETTINGS)
        assert found.controls["permuted"] == subject.shares(alone, 0, mixed.test)
    assert set(found.controls["untrained"]) == {"a->b", "b->a"}
    assert set(found.controls["floor"]) == set(found.controls["permuted"]) == {"a->a", "b->a", "a->b", "b->b"}


def test_a_search_begins_where_the_states_of_both_networks_say_or_at_random_alone(subject):
    asked = [subject.checked(Hypothesis(subspace_dim=2, alignment=one)) for one in ("linear", "orthogonal")]
    data, laf = [subject.draw(one) for one in asked], "agreeing, regression"
    with frozen(*subject.models):
        found = subject.starts(asked, data, "fitted")
        assert [list(one) for one in found] == [["random", laf], ["random", "agreeing, means", laf]]
        assert subject.starts(asked, data, "random") == [{"random": {}}] * 2
        searched = train(subject, asked[:1], data[:1], replace(SETTINGS, starts="fitted"))
        assert (progress := searched.progress[0]).start == laf
        assert progress.starts[laf] > progress.starts["random"] + 0.2
        shares = subject.shares(searched, 0, data[0].test)
    assert min(share.value for share in shares.values()) > 0.8  # after two steps
