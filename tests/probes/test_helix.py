import math

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import HelixFit, helix, shuffled
from numsym.probes.helix import design


def planted(periods: tuple[int, ...], noise: float, count: int = 240) -> torch.Tensor:
    """A line and circles in 32 dimensions, each column of unit strength, under noise."""
    generator = torch.Generator().manual_seed(0)
    columns = design(torch.arange(float(count)), periods)[:, 1:]
    turned = columns @ torch.randn(columns.shape[1], 32, generator=generator)
    return turned + noise * torch.randn(count, 32, generator=generator) + 4


def test_a_planted_helix_is_explained_and_random_periods_are_not():
    fit = helix(planted((2, 5, 10, 100), 0.1))
    assert fit.explained_variance > 0.99
    assert fit.better_than_random == 1.0
    assert float(fit.baseline.max()) < 0.9
    assert fit.coefficients.shape == (2 + 1 + 2 + 2 + 2, 32)


def test_each_period_explains_its_own_part():
    fit = helix(planted((5, 10), 0.1), (2, 5, 10, 100))
    assert fit.by_period[5] > 0.1
    assert fit.by_period[10] > 0.1
    assert fit.by_period[2] < 0.01
    assert 0.1 < fit.line < fit.explained_variance


def test_shuffled_numbers_are_no_helix():
    fit = helix(shuffled(planted((2, 5, 10, 100), 0.1)))
    assert fit.explained_variance < 0.1
    assert fit.better_than_random < 0.99


def test_the_share_is_an_ordinary_r2():
    """Against numpy's least squares on all components."""
    import numpy as np

    embeddings = torch.randn(80, 6, dtype=torch.float64)
    n = np.arange(80.0)
    columns = [np.ones(80), n, np.cos(2 * math.pi * n / 7), np.sin(2 * math.pi * n / 7), np.cos(math.pi * n)]
    left = np.linalg.lstsq(np.stack(columns, axis=1), embeddings.numpy(), rcond=None)[1]
    total = ((embeddings - embeddings.mean(0)) ** 2).sum()
    assert helix(embeddings, (7, 2)).explained_variance == pytest.approx(1 - float(left.sum() / total), rel=1e-9)


def test_fewer_components_leave_noise_out():
    embeddings = planted((2, 5), 1.0)
    assert helix(embeddings, (2, 5), components=4).explained_variance > helix(embeddings, (2, 5)).explained_variance


def test_the_callers_generator_draws_the_baseline():
    embeddings = planted((5,), 1.0)
    draws = [helix(embeddings, (5,), draws=7, generator=torch.Generator().manual_seed(s)).baseline for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_the_result_is_saved_and_drawn(tmp_path):
    found = helix(planted((5, 10), 1.0), (5, 10), draws=7)
    found.save(tmp_path / "saved")
    read = HelixFit.load(tmp_path / "saved")
    assert read.by_period == found.by_period
    assert torch.equal(read.coefficients, found.coefficients)
    parts = {row["part"]: row["explains"] for row in read.rows()}
    assert parts["line and circles"] == found.explained_variance
    assert parts["circle of T = 10"] == found.by_period[10]
    figure = read.figure()
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == sorted(parts.values())
    assert len(figure.axes[0].lines[0].get_xdata()) == 7
    plt.close(figure)


@pytest.mark.parametrize(
    ("embeddings", "options", "message"),
    [
        (torch.randn(150, 3), {}, "periods=100 is not allowed: a period is an integer of 2..75"),
        (torch.randn(50, 3), {"periods": (5,), "components": 0}, "components=0 is not allowed"),
        (torch.randn(50, 3), {"periods": (5,), "draws": 0}, "draws=0 is not allowed"),
    ],
)
def test_bad_input_is_refused(embeddings, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        helix(embeddings, **options)
