import math

import pytest
import torch

from numsym.studies.periods import Periods, shares


def test_the_share_of_a_pure_wave_is_one_at_its_period_and_its_multiples():
    n = torch.arange(60)[:, None].double()
    found = shares((2 * math.pi * n / 5).cos() + 3, [2, 3, 5, 10, 15])
    assert found == pytest.approx({2: 0, 3: 0, 5: 1, 10: 1, 15: 1}, abs=1e-12)


def test_noise_has_the_share_of_its_frequencies():
    noise = torch.randn(100, 4000, generator=torch.Generator().manual_seed(0))
    for T, share in shares(noise, [2, 5, 50]).items():
        assert share == pytest.approx((T - 1) / 99, rel=0.1)


def test_power_and_kappa_are_measured_at_longer_periods_too():
    assert Periods(24, 4, 4, 0.01).probed == [2, 3, 4]
    assert Periods(24, 4, 4, 0.01).powers == [2, 3, 4, 6, 8, 12]
    assert Periods(100, 10, 10, 0.01).long == [20, 25]  # of a residue mod 50 there are only two numbers
    assert Periods(1000, 10, 10, 0.01).long == [20, 25, 50, 100, 125, 200, 250]
    wave = torch.arange(100)[:, None] * 2 * math.pi / 20
    noise = 0.01 * torch.randn(100, 2, generator=torch.Generator().manual_seed(0))  # no two numbers have one row
    model = torch.nn.Embedding.from_pretrained(torch.cat([wave.cos(), wave.sin()], 1) + noise)
    model.get_input_embeddings = lambda: model
    found = Periods(100, 10, 10, 100.0).of(model)
    assert found["kappa_20"] > 75 > 50 > found["kappa_25"]
