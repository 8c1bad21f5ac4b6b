import pytest
import torch

from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import correct
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.models.site import Site
from numsym.tasks import MultiObject

TASK = MultiObject()


def draw(variables, n=200, program="up_down"):
    g = torch.Generator().manual_seed(0)
    return interchange_pairs(TASK, TASK.program(program), variables, n, generator=g)


def engine_of(model, k=4, width=8):
    return RecurrentEngine(model, Site(), [build("linear", width, k, 1, 0)])


def test_exchanging_everything_a_counting_network_does_what_the_program_says():
    pairs = draw(("full",))
    run = engine_of(counting_gru(TASK.vocabulary), k=8).free_running(0, pairs, TASK.program())
    assert run.right.all()
    assert run.off == 0
    assert torch.equal(run.said, run.wanted)


@pytest.mark.parametrize("program", ["up_down", "up_up"])
def test_whole_trials_are_right_exactly_when_they_are_teacher_forced(program, counter, small_task):
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(small_task, small_task.program(program), ("phase",), 300, generator=g)
    engine = engine_of(counter.requires_grad_(False), k=9, width=16)
    run = engine.free_running(0, pairs, small_task.program(program))
    forced = correct(engine, 0, engine.prepare(pairs), 300)
    assert torch.equal(run.right, forced)
    assert 0 < forced.float().mean() < 1
    assert run.off > 0
    assert (run.said[forced] == run.wanted[forced]).all()


def test_by_how_much_it_misses_is_counted_in_tokens():
    """With nothing exchanged, a base in the response phase answers its own count."""
    g = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(TASK, TASK.program(), ("count",), 100, positions={"phase": 1}, generator=g)
    engine = engine_of(counting_gru(TASK.vocabulary))
    engine._groups[0].chosen.zero_()
    run = engine.free_running(0, pairs, TASK.program())
    assert torch.equal(run.said, pairs.base_value + 1)
    assert torch.equal(run.wanted, pairs.source_value + 1)


def test_a_network_that_never_ends_is_stopped_and_wrong():
    model = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=8)).requires_grad_(False).eval()
    model.decoder[-1].bias[TASK.vocabulary.response] = 1e4
    run = engine_of(model).free_running(0, draw(("count",), 20), TASK.program())
    assert not run.right.any()
    assert (run.said > 100).all()


def test_an_engine_that_cannot_run_on_says_so():
    model = counting_gru(TASK.vocabulary)
    assert (
        PyveneEngine(model, Site(), [build("linear", 8, 4, 1, 0)]).free_running(0, draw(("count",), 5), TASK.program())
        is None
    )


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_in_a_deep_network_all_layers_go_on_from_the_exchange(layer):
    model = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=9, hidden_size=8, num_layers=3)).requires_grad_(False)
    pairs = draw(("count",), 50)
    engine = RecurrentEngine(model.eval(), Site("state", layer), [build("linear", 8, 4, 1, 0)])
    logits, _ = engine.exchanged(0, engine.prepare(pairs))
    from numsym._pyvene import locations, pv

    config = pv.IntervenableConfig([Site("state", layer).representation(engine.interventions[0])])
    call = ({"input_ids": pairs.base_ids}, [{"input_ids": pairs.source_ids}], locations(pairs.source_at, pairs.base_at))
    want = pv.IntervenableModel(config, model)(*call)[1].logits[torch.arange(50), pairs.base_at]
    torch.testing.assert_close(logits, want, atol=1e-5, rtol=0)
