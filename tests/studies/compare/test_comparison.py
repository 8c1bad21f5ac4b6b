"""Comparing programs on a network that is known to run Up-Down: the hand-built counter."""

import json

import pytest
import torch

import numsym
from numsym.alignment import Hypothesis, PairCounts, align_many
from numsym.errors import InvalidArgumentError, ModelMismatchError, UnknownNameError
from numsym.lab.run import Run
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.studies.compare import hypotheses_of
from numsym.studies.compare.comparison import Comparison
from numsym.studies.compare.verdicts import Rule
from numsym.tasks import MultiObject

COUNTS = PairCounts(train=600, validation=100, test=250)
TASK = MultiObject(counts=range(1, 7), held_out=(4,))
SEARCH = {"max_steps": 200, "learning_rate": 0.05, "check_every": 20, "batch_size": 64}
ASKED = {"alignment": "orthogonal", "subspace_dim": 2}
SHORT = {"search": {"max_steps": 2}, "pairs": {"train": 100, "validation": 50, "test": 60}, **ASKED}


@pytest.fixture(scope="module")
def known():
    return counting_gru(TASK.vocabulary, width=6)


@pytest.fixture(scope="module")
def found(known):
    return numsym.compare(known, TASK, ["up_down", "up_up"], pairs=COUNTS, search=SEARCH, **ASKED)


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
        known, TASK, ["up_down", "up_up"], pairs=COUNTS, controls=("floor",), search={**SEARCH, "max_steps": 5}, **ASKED
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
    assert json.loads((tmp_path / "compared" / "result.json").read_text())["answer"] == "up_down"
    loaded = Comparison.load(tmp_path / "compared", known)
    assert loaded.to_dict() == Comparison.load(tmp_path / "compared").to_dict() == found.to_dict()
    again = Comparison.of(TASK, [one.result for one in loaded.hypotheses], pairs=COUNTS)
    assert again.to_dict() == found.to_dict()
    with pytest.raises(ModelMismatchError):
        Comparison.load(tmp_path / "compared", counting_gru(TASK.vocabulary, width=6, seed=1))


def test_it_is_printed_in_a_few_lines(found):
    lines = repr(found).splitlines()
    assert len(lines) == 3
    assert lines[0] == "multi_object: it runs up_down"
    assert lines[2].startswith("up_up ruled out: ")
    hypotheses, programs = found.tables().values()
    assert [row["hypothesis"] for row in hypotheses] == [one.name for one in found.hypotheses]
    assert [(row["program"], row["verdict"]) for row in programs] == [("up_down", "runs"), ("up_up", "ruled out")]
    assert set(found.to_frame()) >= {"iia", "iia_low", "floor", "permuted", "untrained", "ceiling", "neurons"}


def test_it_goes_on_where_it_was_and_ends_the_same(known, tmp_path):
    free = numsym.compare(known, TASK, ["up_down"], **SHORT)
    first = Run(tmp_path / "run", track=False, quiet=True)
    with first:  # interrupted after some of the searches
        asked = dict(list(hypotheses_of(TASK, "up_down", **ASKED).items())[:2])
        align_many(known, TASK, asked, pairs=SHORT["pairs"], search={**SHORT["search"], "cl_weight": 0.1}, run=first)
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("result.json")}
    assert len(there) == 2
    kept = numsym.compare(known, TASK, "up_down", **SHORT, run=Run(tmp_path / "run", track=False, quiet=True))
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert kept.to_dict() == free.to_dict()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["alignments"]) == {"up_down.phase", "up_down.count", "up_down.full"}
    assert (tmp_path / "run" / "comparison.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["parity", "same_object"])
def test_without_programs_it_takes_all_of_any_task(name):
    from numsym import recipes
    from numsym.tasks import load_task

    task = load_task(recipes.read("tasks", name))
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))
    few = {"search": {"max_steps": 1, "starts": "random"}, "pairs": {"train": 40, "validation": 20, "test": 60}}
    found = numsym.compare(model, task, controls=("floor",), full=False, subspace_dim=1, **few)
    assert {one.program for one in found.verdicts} == set(task.programs)
    assert found.answer is None


def test_results_that_cannot_be_compared_are_refused(known, found):
    with pytest.raises(UnknownNameError, match="unknown program of multi_object 'down'"):
        numsym.compare(known, TASK, ["down"])
    with pytest.raises(InvalidArgumentError, match="accept=3 is not allowed"):
        numsym.compare(known, TASK, rule={"accept": 3})
    other = align_many(
        known, TASK, [Hypothesis(seed=1, subspace_dim=2)], pairs=COUNTS, search={"max_steps": 1}, controls=False
    )
    with pytest.raises(InvalidArgumentError, match="they must share model, site, alignment and seed"):
        Comparison.of(TASK, [found.hypotheses[0].result, *other], pairs=COUNTS)


def test_positions_may_be_chosen(known):
    where = {"positions": {"phase": 1}}
    moved = align_many(known, TASK, dict(list(hypotheses_of(TASK, ["up_down"], **ASKED).items())[:2]),
                       pairs=COUNTS, search={"max_steps": 1}, controls=False, **where)  # fmt: skip
    again = Comparison.of(TASK, moved, pairs=COUNTS, **where)
    assert [one.iia for one in again.hypotheses] == [result.test.iia for result in moved]
