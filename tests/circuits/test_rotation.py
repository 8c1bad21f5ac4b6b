import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import find_circles
from numsym.circuits.circularity import principal_components
from numsym.circuits.rotation import Rotations, rotation_table, shift_circles, turn
from numsym.errors import InvalidArgumentError


def by_frequency(adder, frequency):
    return next(circle for circle in find_circles(adder) if circle.frequency == frequency)


@pytest.mark.parametrize("operand", ["a", "b"])
def test_turning_every_circle_is_adding_to_the_operand(clock, operand):
    adder = clock()
    turned = shift_circles(adder, find_circles(adder), 5, operand=operand).table()
    torch.testing.assert_close(turned, adder.table().roll(-5, "ab".index(operand)))


def test_a_clock_turns_circle_by_circle(clock):
    adder = clock(frequencies=(3, 7))
    row = turn(adder, [by_frequency(adder, 3)])
    assert row.before == pytest.approx(1.0)
    assert row.follows == pytest.approx(1.0)
    # Over all shifts but 0 the cosines of the turn add up to -1.
    assert row.stays == pytest.approx(-1 / 22)
    assert row.turned == (3,)
    # Nothing else turned: the circle of frequency 7 still points at a + b.
    left = (
        shift_circles(adder, [by_frequency(adder, 3)], 4).table() - shift_circles(adder, find_circles(adder), 4).table()
    )
    assert left.abs().max() > 0.1
    other = turn(adder, [by_frequency(adder, 7)], shifts=[4])
    assert other.follows == pytest.approx(1.0)


def test_a_pizza_without_company_turns_where_it_does_not_fade(pizza):
    adder = pizza(frequencies=(3,))
    row = turn(adder, find_circles(adder))
    assert row.before == pytest.approx(1.0)
    assert row.answers == pytest.approx(1.0)
    assert row.follows == pytest.approx(1.0)


def test_the_table_adds_the_accompanying_circle(clock):
    adder = clock(p=29, frequencies=(3, 6, 10))
    turned = [row.turned for row in rotation_table(adder, shifts=[1, 2]).turnings]
    assert turned == [(3,), (3, 6), (6,), (10,), (3, 6, 10)]


def test_it_is_the_interchange_that_pyvene_makes(model_b):
    """Exchanging two principal components of token a with a source whose a is shifted, by pyvene itself."""
    import pyvene as pv

    circle, shift = find_circles(model_b)[1], 7
    config = pv.IntervenableConfig(
        [
            pv.RepresentationConfig(
                0,
                "token_embeddings",
                "pos",
                1,
                low_rank_dimension=2,
                intervention_type=pv.LowRankRotatedSpaceIntervention,
            )
        ]
    )
    intervenable = pv.IntervenableModel(config, model_b)
    _, _, directions = principal_components(model_b.embed.weight.detach())
    intervention = next(iter(intervenable.interventions.values()))
    with torch.no_grad():
        # Assigning goes through the orthogonal parametrisation; copying into the weight would be lost.
        intervention.rotate_layer.weight = directions[list(circle.components)].T.float()
    pairs = torch.randint(59, (200, 2), generator=torch.Generator().manual_seed(0))
    source = torch.stack([(pairs[:, 0] + shift) % 59, pairs[:, 1]], 1)
    with torch.no_grad():
        _, output = intervenable({"input_ids": pairs}, [{"input_ids": source}], {"sources->base": 0})
    expected = shift_circles(model_b, [circle], shift).table()[pairs[:, 0], pairs[:, 1]]
    torch.testing.assert_close(output.logits[:, -1], expected, atol=1e-3, rtol=1e-4)


def test_a_published_pizza_needs_the_accompanying_circle_and_a_clock_does_not(model_a, model_b):
    shifts = [1, 10, 25]
    alone, together = rotation_table(model_a, shifts=shifts).turnings[:2]
    assert alone.turned == (17,)
    assert together.turned == (17, 25)
    assert alone.follows < 0.96
    assert together.follows > 0.99
    clock = rotation_table(model_b, shifts=shifts).turnings
    assert clock[0].follows > 0.99
    assert clock[-1].answers == 1.0


def test_the_table_is_saved_and_drawn(clock, tmp_path):
    found = rotation_table(clock(p=29, frequencies=(3, 6)), shifts=[1, 5])
    found.save(tmp_path / "saved")
    read = Rotations.load(tmp_path / "saved")
    assert read == found
    assert [row["turned"] for row in read.rows()] == ["3", "3, 6", "6", "3, 6"]
    figure = read.figure()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["3, 6", "6", "3, 6", "3"]
    follows = figure.axes[0].lines[0].get_xdata()
    assert list(follows) == [turning.follows for turning in reversed(found.turnings)]
    single = found.turnings[0].figure()
    assert list(single.axes[0].lines[0].get_xdata()) == [found.turnings[0].follows]
    plt.close("all")


def test_bad_input(clock):
    adder = clock()
    with pytest.raises(InvalidArgumentError, match=r"circles=\[\] is not allowed"):
        shift_circles(adder, [], 1)
    with pytest.raises(InvalidArgumentError, match=r"shifts=\[\] is not allowed"):
        turn(adder, find_circles(adder), shifts=[])
    with pytest.raises(InvalidArgumentError, match="unknown operand 'c'"):
        shift_circles(adder, find_circles(adder), 1, operand="c")
    with pytest.raises(InvalidArgumentError, match="circle is of p=29, but the model of p=23"):
        shift_circles(adder, find_circles(clock(p=29)), 1)
