import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import Adder, Circle, Circles, embedded_circles, find_circles, isolate, remove
from numsym.circuits.circles import at_frequency
from numsym.errors import InvalidArgumentError


@pytest.fixture
def interleaved(circles):
    """Two ellipses whose components come in the order 3, 7, 7, 3 by size, turned at random, off the origin."""
    basis = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0][:4]
    table = circles(23, (3, 7), [(5.0, 2.0), (4.0, 3.0)]) @ basis + 0.7
    return Adder(table, table, lambda a, b: (a + b) @ torch.ones(8, 23, dtype=torch.float64))


def test_components_pair_by_their_frequency_wherever_they_stand(interleaved):
    found = find_circles(interleaved)
    assert [(c.frequency, c.components) for c in found] == [(3, (0, 3)), (7, (1, 2))]
    assert all(c.share == pytest.approx(1.0) for c in found)
    assert sum(c.variance for c in found) == pytest.approx(1.0)
    adjacent = find_circles(interleaved, pairing="adjacent")
    assert [c.components for c in adjacent[:2]] == [(0, 1), (2, 3)]
    assert adjacent[0].share == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("by", ["components", "frequency"])
def test_isolating_leaves_the_mean_and_one_circle(interleaved, circles, by):
    kept = isolate(interleaved, find_circles(interleaved)[0], by=by)
    mean = interleaved.embed_a.mean(0)
    expected = mean + at_frequency(interleaved.embed_a, 3)
    torch.testing.assert_close(kept.embed_a, expected)
    torch.testing.assert_close(at_frequency(kept.embed_a, 7), torch.zeros_like(mean).expand(23, 8))


@pytest.mark.parametrize("by", ["components", "frequency"])
def test_what_is_removed_and_what_is_isolated_add_up(interleaved, by):
    circle = find_circles(interleaved)[1]
    kept, rest = isolate(interleaved, circle, by=by), remove(interleaved, circle, by=by)
    torch.testing.assert_close(kept.embed_a + rest.embed_a - interleaved.embed_a.mean(0), interleaved.embed_a)
    torch.testing.assert_close(at_frequency(rest.embed_a, 7), torch.zeros_like(rest.embed_a))


def test_all_circles_together_are_the_embeddings(interleaved):
    mean = interleaved.embed_a.mean(0)
    total = sum(isolate(interleaved, circle).embed_a - mean for circle in find_circles(interleaved))
    torch.testing.assert_close(total + mean, interleaved.embed_a)


def test_separate_vocabularies_share_a_circle(circles):
    table = circles(23, (3, 7))
    turned = table @ torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    adder = Adder(table, turned, lambda a, b: a)
    circle = next(c for c in find_circles(adder) if c.frequency == 7)
    kept = isolate(adder, circle, by="frequency")
    torch.testing.assert_close(kept.embed_a, at_frequency(table, 7))
    torch.testing.assert_close(kept.embed_b, at_frequency(turned, 7))


def test_noise_has_no_circles():
    noise = torch.randn(59, 64)
    assert find_circles(Adder(noise, noise, lambda a, b: a)) == []


def test_half_frequency_doubles_back():
    for frequency in range(1, 30):
        half = Circle(p=59, frequency=frequency, components=(0, 1), share=1.0, variance=1.0).half_frequency
        assert min(2 * half % 59, -2 * half % 59) == frequency


def test_published_circles(model_a, model_b):
    assert [c.frequency for c in find_circles(model_a)] == [17, 3, 15, 25, 6, 29]
    assert [c.frequency for c in find_circles(model_b)] == [13, 16, 21, 17]


def test_the_figure_has_every_token_in_order_on_the_circle(circles, tmp_path):
    table = circles(13, (3,), [(1.0, 1.0)])
    found = embedded_circles(Adder(table, table, lambda a, b: a))
    found.save(tmp_path / "saved")
    read = Circles.load(tmp_path / "saved")
    assert read.circles == found.circles == find_circles(Adder(table, table, lambda a, b: a))
    assert [row["frequency"] for row in read.rows()] == [3]
    figure = read.figure()
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == [str(t) for t in range(13)]
    assert [round(x**2 + y**2, 6) for x, y in (text.get_position() for text in texts)] == [1.0] * 13
    # Neighbours on the line are one thirteenth of a turn apart.
    xy = torch.tensor(figure.axes[0].lines[0].get_xydata())
    steps = (xy[1:] - xy[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 2 * torch.sin(torch.tensor(torch.pi / 13)).item()))
    plt.close(figure)


def test_without_circles_there_is_nothing_to_draw():
    noise = torch.randn(59, 64)
    found = embedded_circles(Adder(noise, noise, lambda a, b: a))
    assert (found.rows(), found.figure()) == ([], None)


def test_the_largest_circles_are_kept(interleaved):
    assert [circle.frequency for circle in embedded_circles(interleaved, most=1).circles] == [3]
    with pytest.raises(InvalidArgumentError, match="most=0 is not allowed"):
        embedded_circles(interleaved, most=0)


def test_bad_input(interleaved):
    circle = find_circles(interleaved)[0]
    with pytest.raises(InvalidArgumentError, match="unknown pairing 'near'"):
        find_circles(interleaved, pairing="near")
    with pytest.raises(InvalidArgumentError, match="components=1 is not allowed"):
        find_circles(interleaved, components=1)
    with pytest.raises(InvalidArgumentError, match=r"min_share=1.5"):
        find_circles(interleaved, min_share=1.5)
    with pytest.raises(InvalidArgumentError, match="unknown by 'hand'"):
        isolate(interleaved, circle, by="hand")
    other = Adder(torch.randn(5, 2), torch.randn(5, 2), lambda a, b: a)
    with pytest.raises(InvalidArgumentError, match="circle is of p=23, but the model of p=5"):
        isolate(other, circle)
    even = Adder(torch.randn(6, 2), torch.randn(6, 2), lambda a, b: a)
    with pytest.raises(InvalidArgumentError, match="p=6 is not allowed: the frequency of a circle needs an odd p"):
        find_circles(even)
