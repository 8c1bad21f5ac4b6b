import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import CircleFit, find_circles, fit_circles, isolate, logit_fve
from numsym.circuits.fve import FORMULAS, explained, formula_table, fve_figure, standardise
from numsym.errors import InvalidArgumentError


def test_each_network_is_explained_by_its_own_formula(clock, pizza):
    for fit in fit_circles(clock()):
        assert fit.best == fit.best_removal == "clock"
        assert fit.fve["clock"] == pytest.approx(1.0)
        # Its logits are a sum over circles, so what a circle makes is what it makes alone.
        assert fit.removal["clock"] == pytest.approx(1.0)
        assert fit.fve["pizza"] < 0.9
    for fit in fit_circles(pizza()):
        assert fit.fve["pizza"] == pytest.approx(1.0)
        assert fit.fve["clock"] < 0.9


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_planted_formula_is_found(clock, name):
    circle = find_circles(clock(p=29, frequencies=(6,)))[0]
    assert (circle.frequency, circle.half_frequency) == (6, 3)
    frequency = 3 if name == "accompanied_pizza" else 6
    planted = formula_table(FORMULAS[name], 29, frequency)
    fve = logit_fve(5 * planted + 2, circle)
    assert fve[name] == pytest.approx(1.0)
    noisy = logit_fve(standardise(planted) + torch.randn(29, 29, 29, dtype=torch.float64), circle)
    assert max(noisy, key=noisy.get) == name
    # Equal parts of signal and noise correlate by 2 ** -0.5.
    assert noisy[name] == pytest.approx(2 * 0.5**0.5 - 1, abs=0.05)


def test_pizza_is_a_clock_that_fades_with_the_distance():
    a, b, c = (torch.rand(100, dtype=torch.float64) * 6.28 for _ in range(3))
    half = (a + b - c) / 2
    expected = 2 * ((a - b) / 2).cos().abs() * (half.cos().abs() - half.sin().abs())
    torch.testing.assert_close(FORMULAS["pizza"](a, b, c), expected)


def test_explained_is_a_difference_of_variances():
    z, f = torch.randn(5, 5, 5, dtype=torch.float64), torch.randn(5, 5, 5, dtype=torch.float64)
    z, f = standardise(z), standardise(f)
    assert explained(z, f) == pytest.approx(1 - ((z - f).var() / z.var()).item())
    assert explained(z, -z) == pytest.approx(-3.0)
    assert explained(z, torch.ones(5, 5, 5, dtype=torch.float64)) == pytest.approx(0.0)


def test_published_fits_of_model_a(model_a):
    fits = fit_circles(model_a)
    for fit in fits[:3]:
        assert fit.fve["pizza"] == pytest.approx(0.98, abs=0.01)
        assert fit.fve["clock"] == pytest.approx(0.75, abs=0.01)
    for fit in fits[3:6]:
        assert fit.fve["accompanied_pizza"] == pytest.approx(0.97, abs=0.01)
    assert [fit.circle.half_frequency for fit in fits[3:6]] == [fit.circle.frequency for fit in fits[:3]]


def test_published_fit_of_model_b(model_b):
    for pairing in ("adjacent", "frequency"):
        first = fit_circles(model_b, pairing=pairing)[0]
        assert first.fve["clock"] == pytest.approx(0.77, abs=0.01)
        assert first.fve["pizza"] == pytest.approx(0.60, abs=0.01)


def test_removal_finds_a_pizza_inside_the_published_clock(model_b):
    fits = {fit.circle.frequency: fit for fit in fit_circles(model_b)}
    assert fits[21].best_removal in ("pizza", "pizza_prime")
    assert fits[21].removal["pizza"] > 0.9 > 0.7 > fits[21].removal["clock"]
    assert fits[17].circle.half_frequency == 21
    assert fits[17].removal["accompanied_pizza"] > 0.9
    assert fits[13].best_removal == fits[16].best_removal == "clock"


def test_isolating_a_circle_of_a_sum_over_circles_gives_its_part(clock):
    both = clock(frequencies=(3, 7))
    circle = next(c for c in find_circles(both) if c.frequency == 7)
    torch.testing.assert_close(isolate(both, circle, by="frequency").table(), clock(frequencies=(7,)).table())


def test_bad_shape(clock):
    circle = find_circles(clock())[0]
    with pytest.raises(InvalidArgumentError, match=r"logits have shape \(5, 5, 5\), but p=23"):
        logit_fve(torch.zeros(5, 5, 5), circle)


def test_bars_are_the_fits_and_negative_ones_are_cut(clock, tmp_path):
    fits = fit_circles(clock())
    fits[0].save(tmp_path / "saved")
    assert CircleFit.load(tmp_path / "saved") == fits[0]
    (row,) = fits[0].rows()
    assert (row["frequency"], row["best"], row["removal_pizza"]) == (3, "clock", fits[0].removal["pizza"])
    for figure, drawn in ((fve_figure(fits), fits), (fits[0].figure(), fits[:1])):
        for axis, rows in zip(figure.axes, ([fit.fve for fit in drawn], [fit.removal for fit in drawn]), strict=True):
            expected = [max(100 * row[name], 0) for name in FORMULAS for row in rows]
            assert [bar.get_height() for bar in axis.patches] == pytest.approx(expected)
            assert [text.get_text() for text in axis.texts].count("<0") == expected.count(0)
        plt.close(figure)
