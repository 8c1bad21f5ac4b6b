"""A count exchanged between networks whose count is known, and with one that has none."""

import json
from dataclasses import replace

import pytest
import pyvene as pv
import torch

from numsym.alignment import PairCounts, SearchSettings
from numsym.alignment.engines.cross import features
from numsym.analyses import Side, align_across
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.tasks import TASKS, MultiObject

MULTI = MultiObject(counts=range(1, 6), held_out=(4,))
SINGLE = TASKS["single_object"](counts=range(1, 6), held_out=(4,))
COUNTS = PairCounts(train=300, validation=60, test=100)
SETTINGS = SearchSettings(max_steps=120, learning_rate=0.04, check_every=20, batch_size=48, stop_at=1.0)


@pytest.fixture(scope="module")
def sides():
    return (
        Side("multi", counting_gru(MULTI.vocabulary, width=6), MULTI),
        Side("single", counting_gru(SINGLE.vocabulary, width=8, seed=3, degrees=70), SINGLE),
    )


@pytest.fixture(scope="module")
def found(sides):
    return align_across(*sides, subspace_dim=2, settings=SETTINGS, pairs=COUNTS)


def test_the_count_goes_both_ways_between_two_counters_of_different_tasks_and_widths(found):
    assert set(found.iia) == {"multi->multi", "single->multi", "multi->single", "single->single"}
    for direction, share in found.iia.items():
        assert share.value > 0.95, direction
        assert found.held_out[direction].value > 0.95, direction
        assert found.controls["floor"][direction].value < 0.4, direction
        assert found.controls["permuted"][direction].value < 0.45, direction
    assert found.across.value == min(found.iia["multi->single"].value, found.iia["single->multi"].value)
    assert set(found.controls["untrained"]) == {"single->multi", "multi->single"}
    assert all(share.value < found.across.value - 0.2 for share in found.controls["untrained"].values())


def test_it_is_saved_as_pyvene_reads_it(found, tmp_path):
    found.save(tmp_path / "across")
    assert json.loads((tmp_path / "across" / "cross.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    for side, intervention in zip(found.sides, found.interventions, strict=True):
        loaded = pv.IntervenableModel.load(str(tmp_path / "across" / side.name), side.model)
        again = next(iter(loaded.interventions.values()))
        h = torch.randn(5, side.model.config.hidden_size)
        torch.testing.assert_close(features(again, h), features(intervention, h))


def test_networks_and_their_gradients_are_left_as_they_were(sides):
    lstm = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=MULTI.vocab_size, hidden_size=8)).train()
    before = {name: value.clone() for name, value in lstm.state_dict().items()}
    align_across(
        Side("lstm", lstm, MULTI), sides[0], alignment="orthogonal", settings=SearchSettings(max_steps=2),
        pairs=COUNTS, controls=("floor",),
    )  # fmt: skip
    assert lstm.training
    assert all(p.requires_grad for p in lstm.parameters())
    assert all(torch.equal(before[name], value) for name, value in lstm.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alignment": "low_rank"}, "unknown alignment 'low_rank': choose one of linear, orthogonal"),
        ({"variable": "demo_count"}, "unknown variable 'demo_count'"),
        ({"controls": ("neurons",)}, "unknown control 'neurons'"),
        ({"subspace_dim": 7}, r"subspace_dim=7 is not allowed: it must lie in 1..6"),
    ],
)
def test_bad_arguments_are_named(change, message, sides):
    with pytest.raises(InvalidArgumentError, match=message):
        align_across(*sides, **{"pairs": COUNTS, **change})


def test_two_networks_have_two_names_and_are_recurrent(sides):
    with pytest.raises(InvalidArgumentError, match="name='multi' is not allowed twice"):
        align_across(sides[0], sides[0])
    with pytest.raises(InvalidArgumentError, match="model of type Linear is not allowed across networks"):
        align_across(sides[0], Side("b", torch.nn.Linear(2, 2), MULTI))
    with pytest.raises(UnknownNameError, match="unknown program of multi_object 'down'"):
        align_across(sides[0], replace(sides[0], name="b", program="down"))
