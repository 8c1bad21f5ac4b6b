"""States on two known axes, and an exchange along one of them."""

import pytest
import torch

from numsym.alignment.geometry import SHOWN, Geometry


@pytest.fixture
def found(generator):
    # Natural states: spread 3 along the first axis and 1 along the second, of five; the exchange moves the second.
    natural = torch.zeros(400, 5)
    natural[:, 2] = 3 * torch.randn(400, generator=generator)
    natural[:, 4] = torch.randn(400, generator=generator)
    exchanged = natural[:200].clone()
    exchanged[:, 4] = natural[200:, 4]
    return Geometry.of(exchanged, natural, [{"count": str(i)} for i in range(400)])


def test_components_are_those_of_the_natural_states(found):
    assert found.variance[0] == pytest.approx(0.9, abs=0.03)
    assert found.natural[:2] == pytest.approx([3, 1], rel=0.15)
    assert len(found.states) == SHOWN
    assert {"component 1", "component 2", "count"} == set(found.states[0])


def test_the_exchange_is_seen_where_it_is(found):
    along = found.directions[0]
    assert along["share"] == pytest.approx(1.0)
    assert abs(along["component 1"]) < 0.2
    assert abs(along["component 2"]) == pytest.approx(2**0.5, rel=0.15)  # the difference of two independent draws
    assert found.change[0] < 0.2
    assert found.change[1] == pytest.approx(2**0.5, rel=0.15)


def test_a_state_of_one_coordinate_and_an_exchange_of_nothing_have_one(generator):
    natural = torch.randn(20, 1, generator=generator)
    found = Geometry.of(natural[:10], natural, [{} for _ in range(20)])
    assert found.states[0]["component 2"] == 0
    assert found.change == [0]
    assert found.directions[0] == {"component 1": 0, "component 2": 0, "share": 0}
