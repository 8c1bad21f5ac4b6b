"""The rule, on hypotheses whose right and wrong pairs are set by hand."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment import Hypothesis, PairCounts, Share, align_many, measured_pairs, told_apart
from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru
from numsym.studies.compare.verdicts import Rule, contrast, verdicts_on
from numsym.studies.compare.verdicts import Tested as OneTested
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))
COUNTS = PairCounts(train=60, validation=50, test=200)
ASKED = [
    Hypothesis("up_down", "count", subspace_dim=2),
    Hypothesis("up_up", "demo_count", subspace_dim=2),
    Hypothesis("up_down", "full", subspace_dim=2),
]


@pytest.fixture(scope="module")
def tested():
    """Three hypotheses on the same pairs; the search is one step, as their right pairs are set by each test."""
    model = counting_gru(TASK.vocabulary, width=6)
    results = align_many(model, TASK, ASKED, pairs=COUNTS, search={"max_steps": 1, "starts": "random"}, controls=False)
    drawn = [measured_pairs(TASK, asked, COUNTS) for asked in ASKED]
    return [OneTested.of(result, pairs) for result, pairs in zip(results, drawn, strict=True)]


def as_right(one, right, above=True):
    return replace(one, right=right, iia=Share.of(right), above_controls=above, divergence=None)


def first(n):
    return torch.arange(200) < n


def wrong_where_apart(tested, share):
    """Right but for the last of the pairs that tell the first two hypotheses apart."""
    right = torch.ones(200, dtype=torch.bool)
    apart = told_apart(tested[0].pairs, tested[1].pairs).nonzero()[:, 0]
    right[apart[int(len(apart) * (1 - share)) :]] = False
    return right


def said(verdicts):
    return [(one.program, one.verdict) for one in verdicts]


def test_where_two_counterfactuals_differ(tested):
    """By hand: where their rows of scored tokens do."""
    a, b = tested[0].pairs, tested[1].pairs

    def tokens(pairs, row):
        return [(at, int(pairs.base_ids[row, at])) for at in pairs.scored[row].nonzero()[:, 0].tolist()]

    assert told_apart(a, b).tolist() == [tokens(a, row) != tokens(b, row) for row in range(200)]


def test_a_contrast_is_of_all_pairs_and_of_those_that_differ(tested):
    right, apart = wrong_where_apart(tested, 0.5), told_apart(tested[0].pairs, tested[1].pairs)
    found = contrast(as_right(tested[0], first(200)), as_right(tested[1], right))
    assert (found.first, found.second) == ("up_down.count", "up_up.demo_count")
    assert found.told_apart == pytest.approx(apart.sum().item() / 200)
    assert found.first_iia.value == 1
    assert found.second_iia.value == pytest.approx(right[apart].sum().item() / apart.sum().item())
    assert found.difference.value == pytest.approx(1 - right.sum().item() / 200)
    alike = contrast(tested[0], tested[0])
    assert (alike.told_apart, alike.first_iia, alike.difference_apart) == (0, None, None)


def test_a_program_surely_worse_is_ruled_out_and_the_other_runs(tested):
    best, worse = as_right(tested[0], first(200)), as_right(tested[1], wrong_where_apart(tested, 0.6))
    verdicts = verdicts_on([worse, best], Rule())
    assert said(verdicts) == [("up_down", "runs"), ("up_up", "ruled out")]
    assert verdicts[0].contrast is None
    assert "up_up.demo_count is worse than up_down.count by" in verdicts[1].why
    # Not by a margin that it does not reach.
    assert said(verdicts_on([worse, best], Rule(margin=0.9))) == [("up_down", "fits"), ("up_up", "undecided")]


def test_the_best_is_no_answer_below_what_is_accepted_or_alone_or_without_controls(tested):
    low, worse = as_right(tested[0], first(170)), as_right(tested[1], torch.zeros(200, dtype=torch.bool))
    verdicts = verdicts_on([low, worse], Rule())
    assert said(verdicts) == [("up_down", "fits"), ("up_up", "ruled out")]
    assert verdicts[0].why == "its worst variable's IIA is not surely 0.9 or more"
    assert said(verdicts_on([low, worse], Rule(accept=0.7)))[0] == ("up_down", "runs")
    alone = verdicts_on([as_right(tested[0], first(200))], Rule())
    assert [(one.verdict, one.why) for one in alone] == [("fits", "no other program was tested")]
    unchecked = verdicts_on([replace(low, above_controls=None), worse], Rule())
    assert said(unchecked) == [("up_down", "undecided"), ("up_up", "undecided")]


def test_a_program_is_scored_by_its_worst_variable_and_full_does_not_count(tested):
    best, full = as_right(tested[0], first(200)), as_right(tested[2], first(10), above=False)
    verdict = verdicts_on([best, full], Rule())[0]
    assert (verdict.worst, verdict.iia.value) == ("count", 1)
    phase = replace(as_right(tested[0], first(150)), variable="phase")
    verdict = verdicts_on([best, phase, full], Rule())[0]
    assert (verdict.worst, verdict.iia.value) == ("phase", 0.75)


def test_a_hypothesis_is_above_its_controls_only_if_all_of_them_were_run(tested):
    result, pairs = tested[0].result, tested[0].pairs
    iia, none, all_of_them = tested[0].iia, Share.of(first(0)), Share.of(first(200))
    assert iia.value > 0.1  # above nothing at all,
    assert iia.high < 0.98  # below everything

    def above(**controls):
        return OneTested.of(replace(result, controls=controls), pairs).above_controls

    assert above(floor=none, permuted=none) is None
    assert above(floor=none, permuted=none, untrained=none) is True
    assert above(floor=none, permuted=none, untrained=all_of_them) is False
    assert above(permuted=none, untrained=none, ceiling=all_of_them) is True  # no bound from below


def test_a_rule_lies_between_nothing_and_all():
    with pytest.raises(InvalidArgumentError, match=r"margin=2 is not allowed: it must lie in 0..1"):
        Rule(margin=2)
    with pytest.raises(InvalidArgumentError, match=r"accept=-1 is not allowed: it must lie in 0..1"):
        Rule(accept=-1)


def test_hypotheses_that_are_hardly_met_at_the_same_places_are_not_decided_between(tested):
    best, worse, few = as_right(tested[0], first(200)), as_right(tested[1], first(0)), torch.arange(20)
    some = replace(worse, pairs=worse.pairs.rows(few), right=worse.right[few])
    assert (contrast(best, some).n, contrast(best, some).difference.value) == (20, 1)
    verdicts = verdicts_on([best, some], Rule())
    assert said(verdicts) == [("up_down", "fits"), ("up_up", "undecided")]
    assert verdicts[1].why.endswith("up_up.demo_count are hardly ever exchanged at the same places (20 pairs)")
    other = best.pairs.without(best.pairs.rows(few))
    nothing = contrast(replace(best, pairs=other, right=torch.ones(len(other), dtype=torch.bool)), some)
    assert (nothing.n, nothing.told_apart, nothing.difference) == (0, 0.0, None)
