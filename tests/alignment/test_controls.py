"""Controls on a network whose count and phase are known."""

import pytest
import torch

from numsym.alignment import Hypothesis, align_many
from numsym.alignment.controls import exchanged_neurons, single_neurons, site_values, states_at, untrained
from numsym.alignment.engines.pyvene import Whole, unintervened
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import right
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.models.counters import directions
from numsym.models.site import Site
from numsym.tasks import MultiObject

TASK = MultiObject()


def pairs(variables, n=300, seed=0):
    return interchange_pairs(TASK, TASK.program(), variables, n, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def known():
    return counting_gru(TASK.vocabulary, width=6)


def test_the_whole_state_carries_all_variables(known):
    assert right(Whole(known, [Site()]), 0, pairs(("full",))).all()


def test_without_an_exchange_only_equal_values_are_right(known):
    asked = pairs(("count",))
    right = unintervened(known, asked)
    # Before the trigger the target decides, unless the exchanged count is past it.
    answering = asked.state["phase"] == 1
    assert torch.equal(right[answering], (asked.source_value == asked.base_value)[answering])


def test_collected_values_are_the_states(known):
    asked = pairs(("count",))
    states, values = site_values(known, Site(), asked)
    torch.testing.assert_close((states @ directions(6, 90, 0)[2])[:, 0], values.float(), atol=1e-2, rtol=0)


def test_states_are_read_once_for_trials_that_are_alike(known):
    asked = pairs(("count",), 8)
    row = torch.randint(8, (50,), generator=torch.Generator().manual_seed(0))
    many, run = asked.rows(row), []
    handle = known.register_forward_pre_hook(
        lambda _, args, given: run.append(len(given["input_ids"])), with_kwargs=True
    )
    sides, own = states_at(known, Site(), many), states_at(known, Site(), asked)
    unintervened(known, many)
    handle.remove()
    assert max(run) <= 8
    for side, each in zip(sides, own, strict=True):
        torch.testing.assert_close(side, each[row])
    assert torch.equal(unintervened(known, many), unintervened(known, asked)[row])


def test_places_that_are_exchanged_together_are_read_in_their_own_order():
    torch.manual_seed(0)
    model, asked = (
        RecurrentLM(RecurrentConfig(vocab_size=TASK.vocab_size, hidden_size=5, num_layers=3)),
        pairs(("count",), 20),
    )
    both = Site.of(["state:2", "state:0"])
    for together, *alone in zip(*(states_at(model, site, asked) for site in (both, *both.parts)), strict=True):
        assert torch.equal(together, torch.cat(alone))


def test_all_neurons_are_the_whole_state_and_one_is_not(known):
    train, test = pairs(("full",), 500, 1), pairs(("full",))
    assert single_neurons(known, Site(), train, test, 6).all()
    assert single_neurons(known, Site(), train, test, 1).float().mean() < 0.5


def test_sets_of_neurons_are_exchanged_one_after_the_other(known):
    """Each set as an engine of its own does it, with losses that fall as more of the state is exchanged."""
    test = pairs(("full",))
    losses, correct = exchanged_neurons(known, Site(), test, [[0], [5, 1, 3], list(range(6))])
    assert torch.equal(correct[1], right(Whole(known, [Site()], [[1, 3, 5]]), 0, test))
    assert correct[2].all()
    assert losses[2] < losses[0]


def test_a_count_in_one_neuron_is_found_by_its_weight(turned_counter):
    """A network whose plane is the first two axes: exchanging neuron 0 exchanges the count."""
    model = turned_counter(TASK.vocabulary)
    train, test = pairs(("count",), 500, 1), pairs(("count",))
    assert single_neurons(model, Site(), train, test, 1).all()


def test_a_model_that_is_not_made_from_its_config_is_named(known):
    class Odd(torch.nn.Module):
        def __init__(self, width, depth):
            super().__init__()
            self.config, self.weight = known.config, torch.nn.Parameter(torch.ones(1))

    with pytest.raises(
        ValueError, match="controls with 'untrained' is not allowed for Odd: it is made neither from its"
    ):
        untrained(Odd(1, 2), 0)


def test_an_untrained_twin_has_the_shape_and_none_of_the_weights():
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=8))
    before = torch.get_rng_state()
    twin, same = untrained(model, 5), untrained(model, 5)
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b, c in zip(model.named_parameters(), twin.parameters(), same.parameters(), strict=True):
        assert a.shape == b.shape
        assert torch.equal(b, c)
        assert not torch.equal(a, b) or "decoder.2" in name


def test_an_untrained_twin_has_the_models_type():
    model = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=8)).to(torch.bfloat16)
    assert {p.dtype for p in untrained(model, 0).parameters()} == {torch.bfloat16}


def test_where_no_count_is_held_every_kind_of_map_and_the_untrained_twin_are_at_the_floor():
    """A network that forgets: its state is the last token alone. No exchange helps, and no floor is above chance."""
    task = MultiObject(counts=range(1, 4), held_out=())
    forgets = counting_gru(task.vocabulary, width=6)
    for name, weight in forgets.named_parameters():
        if "weight_hh" in name:
            weight.zero_()
    functions = ("orthogonal", "low_rank", "conditional", "random")
    asked = [Hypothesis("up_down", "count", name, 2) for name in functions]
    found = align_many(
        forgets, task, asked, controls=("floor", "untrained"),
        search={"max_steps": 5, "tries": 1}, pairs={"train": 150, "validation": 50, "test": 50},
    )  # fmt: skip
    for name, one in zip(functions, found, strict=True):
        shares = {"itself": one.iia, **{control: share.value for control, share in one.controls.items()}}
        assert max(shares.values()) <= one.floor + 0.1, (name, shares)
