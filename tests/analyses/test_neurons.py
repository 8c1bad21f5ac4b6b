"""Neurons of a hand-built counter, before and after its plane is turned onto the first two axes."""

import json

import pytest
import torch

from numsym.alignment import interchange_pairs
from numsym.analyses import neurons
from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))


def pairs(n, seed):
    return interchange_pairs(TASK, TASK.program(), ("count",), n, generator=torch.Generator().manual_seed(seed))


def test_a_count_in_one_neuron_is_found_there_and_nowhere_else(turned_counter):
    found = neurons(turned_counter(TASK.vocabulary), pairs(200, 0), pairs(150, 1), sizes=(1, 2))
    assert found.best == 0
    assert found.each[0].value == 1
    assert found.chosen["probe"][0] == found.chosen["greedy"][0] == 0
    assert found.sets["greedy"][1].value == found.sets["probe"][1].value == 1
    # Neurons that hold nothing change nothing: the floor.
    for neuron in range(2, 6):
        assert found.each[neuron].value == found.floor.value
    assert found.floor.value < 0.4
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_count_spread_over_neurons_is_in_none_of_them(turned_counter):
    found = neurons(counting_gru(TASK.vocabulary, width=6), pairs(200, 0), pairs(150, 1), sizes=(1, 6), greedy=False)
    assert max(share.value for share in found.each) < 0.7
    assert set(found.sets) == {"probe"}
    assert len(found.chosen["probe"]) == 6
    # All of them are the whole state, phase included, which is another exchange.
    assert found.sets["probe"][6].n == found.n == 150
    with pytest.raises(InvalidArgumentError, match="sizes=7 is not allowed"):
        neurons(turned_counter(TASK.vocabulary), pairs(20, 0), pairs(20, 1), sizes=(7,))
