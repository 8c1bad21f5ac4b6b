import pytest
import torch

from numsym.alignment import Hypothesis, PairCounts, Share, Site, align_many, measured_pairs
from numsym.alignment.engines.choice import ENGINES, engine_for, engine_names, right_of
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.functions import build
from numsym.alignment.search import Engine, right
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.registry import Registry

COUNTS = PairCounts(train=300, validation=50, test=120)


@pytest.fixture(scope="module")
def results(counter, small_task):
    hypotheses = [Hypothesis(program, variable, subspace_dim=4) for program, variable in
                  (("up_down", "count"), ("up_up", "resp_count"))]  # fmt: skip
    return hypotheses, align_many(
        counter, small_task, hypotheses, pairs=COUNTS, search={"max_steps": 5}, controls=False
    )


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


def test_an_engine_that_does_not_support_what_is_asked_is_named_with_what_it_takes(counter):
    with pytest.raises(
        InvalidArgumentError,
        match=r"engine='resumed' is not allowed for RecurrentLM at 'state_1:0' with Linear.*: it runs RecurrentLM at "
        r"'state' and TransformerLM at .*; use engine='auto' or 'pyvene'",
    ):
        engine_for(counter, Site("state_1"), [build("linear", 16, 4, 1, 0)], "resumed")


def test_a_new_engine_is_one_line_and_the_lowest_order_that_supports_is_taken(counter, monkeypatch):
    known: Registry = Registry("engine")
    for name in ENGINES:
        known.register(name)(ENGINES[name])
    monkeypatch.setattr("numsym.alignment.engines.choice.ENGINES", known)

    @known.register("mine")
    class Mine(PyveneEngine):
        name, order, takes = "mine", -1, "what is at layer 0"

        @classmethod
        def supports(cls, model, site, interventions):
            return site.component == "state"

    interventions = [build("linear", 16, 4, 1, 0)]
    assert engine_names() == ("auto", "resumed", "pyvene", "mine")
    assert engine_for(counter, Site(), interventions).name == "mine"
    assert engine_for(counter, Site(), interventions, "resumed").name == "resumed"
    assert engine_for(counter, Site("state_1"), interventions).name == "pyvene"


def test_every_engine_is_what_the_search_needs(counter):
    for name in ("resumed", "pyvene"):
        assert isinstance(engine_for(counter, Site(), [build("linear", 16, 4, 1, 0)], name), Engine)


def test_measuring_again_leaves_the_model_as_it_was(results, counter, small_task):
    counter.train().requires_grad_(True)
    counter.decoder.eval()
    seen = []
    hook = counter.embed.register_forward_hook(lambda *_: seen.append(True))
    for engine in ("resumed", "pyvene"):
        right_of(results[1][0], measured_pairs(small_task, results[0][0], COUNTS), engine)
    assert (counter.training, counter.decoder.training) == (True, False)
    assert all(p.requires_grad for p in counter.parameters())
    seen.clear()
    counter(torch.zeros(1, 2, dtype=torch.long))
    assert seen
    hook.remove()
    counter.eval()


def test_right_counts_every_pair_once(counter, small_task):
    pairs = measured_pairs(small_task, Hypothesis(subspace_dim=4), COUNTS)
    engine = engine_for(counter, Site(), [build("linear", 16, 4, 1, 0)])
    assert right(engine, 0, pairs).shape == (len(pairs),)
