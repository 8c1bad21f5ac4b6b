"""What the page on alignment functions says with pictures, by numbers: which exchanges each function has."""

import matplotlib.pyplot as plt
import pytest
import torch

from website import figures


@pytest.fixture(scope="module")
def found():
    return figures.maps(400)


def test_every_map_is_a_projection_of_rank_one(found):
    for projections in found.values():
        torch.testing.assert_close(projections @ projections, projections, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(
            projections.diagonal(dim1=1, dim2=2).sum(1), torch.ones(len(projections)), atol=1e-3, rtol=0
        )


def test_a_rotation_writes_at_a_right_angle_to_what_it_leaves_alone(found):
    written, kept = figures.angles(found["DAS: a rotation"])
    torch.testing.assert_close((written - kept).abs(), torch.full_like(written, 90.0), atol=0.1, rtol=0)


def test_the_laf_has_oblique_exchanges_and_of_the_rotations_none_but_the_coordinates(found):
    # In degrees of (1, X) and (Y, 1): XY is in [0, 1), so both lie in one quadrant, the written one nearer to its axis.
    written, kept = figures.angles(found["LAF"])
    assert (written * kept >= 0).all()
    assert (written.abs() < kept.abs()).all()


@pytest.mark.parametrize(
    ("world", "arriving"),
    [("count and phase 40 degrees apart", {"LAF", "low-rank"}),
     ("count and phase at a right angle", {"DAS: a rotation", "low-rank"})],
)  # fmt: skip
def test_only_some_functions_reach_the_exchange_of_a_world(found, world, arriving):
    assert {name for name, error in figures.errors(found, world).items() if error < 0.45} == arriving


def test_what_is_drawn_is_not_left_open(found):
    before = plt.get_fignums()  # of other tests
    figure = figures.expressible(found)
    assert plt.get_fignums() == before  # a notebook would show it twice
    assert len(figure.axes) == 4
