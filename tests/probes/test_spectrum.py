import math

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.probes import Spectrum, period_power, shuffled, spectrum


def direct(embeddings: torch.Tensor, frequency: float) -> float:
    """|F(v)|^2 by the definition, one term after the other."""
    n = torch.arange(len(embeddings), dtype=torch.float64)
    wave = torch.exp(-2j * math.pi * frequency * n)
    return float((wave[:, None] * embeddings.double()).sum(dim=0).abs().square().sum()) / len(embeddings)


@pytest.mark.parametrize("count", [60, 61, 97])
@pytest.mark.parametrize("period", [2, 3, 7, 10])
def test_period_power_is_the_definition_for_any_count(count, period):
    embeddings = torch.randn(count, 5, dtype=torch.float64) + 3
    expected = sum(direct(embeddings, harmonic / period) for harmonic in range(1, period))
    assert period_power(embeddings, period) == pytest.approx(expected, rel=1e-9)
    centred = embeddings - embeddings.mean(dim=0)
    expected = sum(direct(centred, harmonic / period) for harmonic in range(1, period))
    assert period_power(embeddings, period, centre=True) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [40, 41])
def test_the_spectrum_is_the_definition_at_each_frequency(count):
    embeddings = torch.randn(count, 3, dtype=torch.float64) + 2
    result = spectrum(embeddings)
    assert len(result.frequency) == count // 2
    for frequency, power in zip(result.frequency.tolist(), result.power.tolist(), strict=True):
        assert power == pytest.approx(direct(embeddings, frequency), rel=1e-9)
    magnitude = result.power.sqrt()
    torch.testing.assert_close(result.normalised, magnitude / magnitude.quantile(0.5))


def test_it_does_not_matter_where_the_numbers_start():
    embeddings = torch.randn(50, 3, dtype=torch.float64)
    assert period_power(embeddings, 7, numbers=range(13, 63)) == pytest.approx(period_power(embeddings, 7))


def test_planted_periods_are_the_peaks_and_noise_has_none():
    generator = torch.Generator().manual_seed(0)
    n = torch.arange(300)[:, None]
    noise = torch.randn(300, 16, generator=generator)
    planted = noise + (2 * math.pi * n / 5).cos() + 0.3 * (math.pi * n).cos()
    peaks = spectrum(planted).peaks()
    assert [round(period, 6) for period, _ in peaks] == [5.0, 2.0]
    assert peaks[0][1] > peaks[1][1] > 2
    assert spectrum(planted).peaks(1) == peaks[:1]
    assert spectrum(noise).peaks() == []
    assert spectrum(shuffled(planted)).peaks() == []


def test_a_large_common_offset_costs_no_digits():
    n = torch.arange(200)[:, None]
    wave = (2 * math.pi * n / 10).cos()
    assert period_power(wave + 1000, 10) == pytest.approx(period_power(wave.double(), 10), rel=1e-3)
    assert spectrum(wave + 1000).peaks(1)[0][0] == pytest.approx(10)


def test_a_pure_wave_is_normalised_by_rounding():
    n = torch.arange(100)[:, None].double()
    result = spectrum((2 * math.pi * n / 4).cos())
    assert result.normalised.isfinite().all()
    assert result.peaks(1)[0][0] == pytest.approx(4)


def test_slow_trends_are_left_out_of_the_peaks_where_that_is_asked():
    n = torch.arange(200)[:, None]
    noise = 0.05 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    waves = spectrum((2 * math.pi * n / 50).cos() + (2 * math.pi * n / 10).cos() + noise)
    assert [round(period, 3) for period, _ in waves.peaks(2, 1.5)] == [50.0, 10.0]
    assert [round(period, 3) for period, _ in waves.peaks(1, 1.5, longest=10)] == [10.0]


def test_the_result_is_saved_and_its_peaks_are_named(tmp_path):
    n = torch.arange(300)[:, None]
    noise = torch.randn(300, 16, generator=torch.Generator().manual_seed(0))
    found = spectrum(noise + (2 * math.pi * n / 5).cos() + (math.pi * n).cos())
    found.save(tmp_path / "saved")
    read = Spectrum.load(tmp_path / "saved")
    assert torch.equal(read.power, found.power)
    assert read.rows()[59]["period"] == pytest.approx(5)
    assert read.rows()[59]["times_median"] == float(found.normalised[59])
    (table,) = read.tables().values()
    assert sorted(round(row["period"], 3) for row in table) == [2.0, 5.0]
    figure = read.figure()
    assert {text.get_text() for text in figure.axes[0].texts} == {"T = 5", "T = 2"}
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx(found.normalised.tolist())
    plt.close(figure)
