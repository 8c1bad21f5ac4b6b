import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

from numsym.errors import UnknownNameError
from numsym.experiments.two_routes import TwoRoutesConfig, run, shares


def test_a_run_trains_every_combination_keeps_the_figures_by_step_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    training = {"steps": 4, "checks": 2, "batch_size": 8}
    experiment = {"base": 24, "architectures": ["gru"], "width": 8, "max_period": 4, "folds": 4, "training": training}
    config = {"experiment": {"name": "two_routes", **experiment}, "seed": 0, "device": "cpu", "wandb": {}}
    run(config, tmp_path)
    saved = json.loads((tmp_path / "results.json").read_text())
    names = ["single gru, adamw", "multi gru, adamw", "single gru, muon", "multi gru, muon"]
    assert list(saved["runs"]) == names
    for found in saved["runs"].values():
        assert [record["step"] for record in found["records"]] == [0, 2, 4]
        for record in found["records"]:
            assert {"loss", "accuracy", "kappa_2", "kappa_3", "kappa_4", "phi_2", "phi_12"} <= set(record)
    rows = load_file(tmp_path / "runs" / "multi_gru_muon" / "embeddings.safetensors")["numbers"]
    assert rows.shape == (24, 8)
    assert (tmp_path / "two_routes.png").read_bytes()[:4] == b"\x89PNG"
    lines = (tmp_path / "two_routes.md").read_text().splitlines()
    assert len(lines) == 2 + 4
    assert lines[2].startswith("| single gru, adamw | 0.")
    # As if it had been interrupted before its last combination: the others are not trained again.
    (tmp_path / "results.json").unlink()
    shutil.rmtree(tmp_path / "runs" / "multi_gru_muon")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")}
    assert run(config, tmp_path) == saved["runs"]
    assert len(before) == 3
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_unknown_settings_are_refused(tmp_path):
    config = {"experiment": {"name": "two_routes", "bases": 3}, "seed": 0, "device": "cpu", "wandb": {}}
    with pytest.raises(UnknownNameError, match="unknown key of experiment two_routes 'bases'"):
        run(config, tmp_path)


def test_the_share_of_a_pure_wave_is_one_at_its_period_and_its_multiples():
    n = torch.arange(60)[:, None].double()
    found = shares((2 * math.pi * n / 5).cos() + 3, [2, 3, 5, 10, 15])
    assert found == pytest.approx({2: 0, 3: 0, 5: 1, 10: 1, 15: 1}, abs=1e-12)


def test_noise_has_the_share_of_its_frequencies():
    noise = torch.randn(100, 4000, generator=torch.Generator().manual_seed(0))
    for T, share in shares(noise, [2, 5, 50]).items():
        assert share == pytest.approx((T - 1) / 99, rel=0.1)


def test_an_unknown_route_is_refused():
    with pytest.raises(UnknownNameError, match="unknown route 'double': choose one of multi, single"):
        TwoRoutesConfig(routes=("double",))
