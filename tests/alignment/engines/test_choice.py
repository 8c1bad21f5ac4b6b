import pytest
import torch

from numsym.alignment import Hypothesis, PairCounts, Share, Site, align_many, measured_pairs
from numsym.alignment.engines.choice import engine_for, right, right_of
from numsym.alignment.functions import build
from numsym.errors import UnknownNameError

COUNTS = PairCounts(train=300, validation=50, test=120)


@pytest.fixture(scope="module")
def results(counter, small_task):
    hypotheses = [Hypothesis(program, variable, subspace_dim=4) for program, variable in
                  (("up_down", "count"), ("up_up", "resp_count"))]  # fmt: skip
    return hypotheses, align_many(counter, small_task, hypotheses, pairs=COUNTS, max_steps=5, controls=False)


def test_a_result_is_measured_again_as_it_was(results, counter, small_task, tmp_path):
    for hypothesis, result in zip(*results, strict=True):
        pairs = measured_pairs(small_task, hypothesis, COUNTS)
        again = [right_of(result, pairs, engine) for engine in ("auto", "pyvene")]
        assert Share.of(again[0]) == result.test.iia
        assert torch.equal(*again)
    result.save(tmp_path / "saved")
    loaded = type(result).load(tmp_path / "saved", counter)
    assert torch.equal(right_of(loaded, pairs), again[0])


def test_hypotheses_of_one_seed_are_measured_on_the_same_trials(results, small_task):
    first, second = (measured_pairs(small_task, hypothesis, COUNTS) for hypothesis in results[0])
    assert torch.equal(first.base_at, second.base_at)
    assert torch.equal(first.source_ids, second.source_ids)


def test_the_engine_is_chosen_by_name(counter):
    interventions = [build("linear", 16, 4, 1, 0)]
    assert engine_for(counter, Site(), interventions).name == "resumed"
    assert engine_for(counter, Site(), interventions, "pyvene").name == "pyvene"
    assert engine_for(counter, Site("state_1"), interventions).name == "pyvene"
    with pytest.raises(UnknownNameError, match="unknown engine 'quick'"):
        engine_for(counter, Site(), interventions, "quick")


def test_right_counts_every_pair_once(counter, small_task):
    pairs = measured_pairs(small_task, Hypothesis(subspace_dim=4), COUNTS)
    engine = engine_for(counter, Site(), [build("linear", 16, 4, 1, 0)])
    assert right(engine, 0, pairs).shape == (len(pairs),)
