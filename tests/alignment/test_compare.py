"""Comparing programs on a network that is known to run Up-Down: the hand-built counter."""

import json

import pytest
import torch

import numsym
from numsym.alignment import AlignmentResult, Comparison, Hypothesis, PairCounts, Rule, align_many
from numsym.alignment.compare import _shared, hypotheses_of
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import counting_gru
from numsym.tasks import MultiObject

COUNTS = PairCounts(train=600, validation=100, test=250)
TASK = MultiObject(counts=range(1, 7), held_out=(4,))
SEARCH = {
    "alignment": "orthogonal",
    "subspace_dim": 2,
    "max_steps": 200,
    "learning_rate": 0.05,
    "check_every": 20,
    "batch_size": 64,
}


@pytest.fixture(scope="module")
def known():
    return counting_gru(TASK.vocabulary, width=6)


@pytest.fixture(scope="module")
def found(known):
    return numsym.compare(known, TASK, ["up_down", "up_up"], pairs=COUNTS, **SEARCH)


def test_the_program_that_the_network_runs_is_found_and_the_other_is_ruled_out(found):
    assert found.answer == "up_down"
    runs, out = found.verdicts
    assert (runs.program, runs.verdict, runs.contrast) == ("up_down", "runs", None)
    assert (out.program, out.verdict) == ("up_up", "ruled out")
    assert out.worst in ("demo_count", "resp_count")
    by_name = {one.name: one for one in found.hypotheses}
    assert len(by_name) == 7
    for variable in ("phase", "count", "full"):
        assert by_name[f"up_down.{variable}"].iia.value > 0.95
        assert by_name[f"up_down.{variable}"].above_controls
    # On the pairs that tell its counterfactual from Up-Down's count, Up-Up's fails.
    seen = next(c for c in found.contrasts if {c.first, c.second} == {"up_down.count", "up_up.demo_count"})
    assert 0.3 < seen.told_apart < 0.95
    assert seen.first_iia.value > 0.95 > 0.7 > seen.second_iia.value
    assert seen.difference_apart.low > 0.2


def test_what_two_programs_say_alike_tells_nothing(found):
    """Exchanging everything gives both programs the same future, so both align and neither is told apart."""
    alike = next(c for c in found.contrasts if (c.first, c.second) == ("up_down.full", "up_up.full"))
    assert alike.told_apart == 0
    assert alike.first_iia is None
    assert alike.difference_apart is None
    assert abs(alike.difference.value) < 0.05


def test_every_hypothesis_is_met_on_the_same_trials(found):
    first = found.hypotheses[0]
    for one in found.hypotheses:
        assert len(one.right) == len(first.right)
        assert torch.equal(one.pairs.base_at, first.pairs.base_at)
        assert one.iia == one.result.test.iia


def test_without_controls_or_a_rival_nothing_is_said(known, found):
    results = [one.result for one in found.hypotheses]
    alone = Comparison.of(TASK, results[:3], pairs=COUNTS)
    assert (alone.answer, alone.verdicts[0].verdict) == (None, "fits")
    assert alone.verdicts[0].why == "no other program was tested"
    unchecked = numsym.compare(
        known, TASK, ["up_down", "up_up"], pairs=COUNTS, controls=("floor",), **{**SEARCH, "max_steps": 5}
    )
    assert unchecked.answer is None
    assert {one.verdict for one in unchecked.verdicts} == {"undecided"}
    assert "not above its own controls" in unchecked.verdicts[1].why


def test_a_stricter_rule_leaves_it_undecided(found):
    results = [one.result for one in found.hypotheses]
    strict = Comparison.of(TASK, results, pairs=COUNTS, rule=Rule(margin=0.99))
    assert strict.answer is None
    assert [one.verdict for one in strict.verdicts] == ["fits", "undecided"]
    assert strict.verdicts[0].why == "not ruled out: up_up"


def test_it_is_saved_and_its_alignments_load(found, known, tmp_path):
    found.save(tmp_path / "compared")
    read = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert read == json.loads(json.dumps(found.to_dict()))
    assert read["answer"] == "up_down"
    loaded = [AlignmentResult.load(tmp_path / "compared" / "alignments" / one.name, known) for one in found.hypotheses]
    assert Comparison.of(TASK, loaded, pairs=COUNTS).to_dict() == found.to_dict()


def test_results_that_cannot_be_compared_are_refused(known, found):
    with pytest.raises(UnknownNameError, match="unknown program of multi_object 'down'"):
        numsym.compare(known, TASK, ["down"])
    other = align_many(known, TASK, [Hypothesis(seed=1, subspace_dim=2)], pairs=COUNTS, max_steps=1, controls=False)
    with pytest.raises(InvalidArgumentError, match="they must share model, site, alignment and seed"):
        Comparison.of(TASK, [found.hypotheses[0].result, *other], pairs=COUNTS)


def test_positions_may_be_chosen(known):
    where = {"positions": {"phase": 1}}
    moved = align_many(known, TASK, hypotheses_of(TASK, ["up_down"], subspace_dim=2, alignment="orthogonal")[:2],
                       pairs=COUNTS, max_steps=1, controls=False, **where)  # fmt: skip
    again = Comparison.of(TASK, moved, pairs=COUNTS, **where)
    assert [one.iia for one in again.hypotheses] == [result.test.iia for result in moved]


def test_only_pairs_met_in_all_hypotheses_are_compared(found):
    drawn = [one.pairs for one in found.hypotheses[:2]]
    fewer = _shared([drawn[0].rows(slice(20, None)), drawn[1].rows(slice(0, 200))])
    assert fewer[0].keys() == fewer[1].keys()
    both = set(drawn[0].rows(slice(20, None)).keys()) & set(drawn[1].rows(slice(0, 200)).keys())
    assert set(fewer[0].keys()) == both
    assert len(fewer[0]) == len(both) > 150
    with pytest.raises(InvalidArgumentError, match="only 0 pairs are met at the same places"):
        _shared([drawn[0].rows(slice(0, 40)), drawn[1].without(drawn[1].rows(slice(0, 40)))])
