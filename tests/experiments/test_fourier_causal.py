import json

import pytest
import torch
from numsym.experiments.adders import AdderTraining

from numsym.errors import InvalidArgumentError
from numsym.experiments.fourier_causal import Bench, FourierCausalConfig, by_harmonic, by_rank, run, train
from numsym.interventions import FourierSubspaceIntervention

SMALL = FourierCausalConfig(
    base=12, width=32, trials=200, controls=2, strongest=(1, 6),
    training=AdderTraining(steps=1500, batch_size=144, weight_decay=0.03, checks=30, learning_rate=4e-3, stop_at=0.99),
)  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    model, task, records = train(SMALL)
    assert records[-1]["accuracy"] > 0.95
    return Bench(model, task, SMALL)


def test_rotating_all_harmonics_is_reading_the_other_number(bench):
    """With all harmonics of T = base the rotation of digit a by s is the state of a + s: the answer follows."""
    rows = by_rank(bench)
    assert rows[1]["rank"] == 11
    assert rows[1]["moved"] > 0.95
    assert rows[1]["right_ablated"] < 0.5
    assert rows[1]["random_moved"] < rows[1]["moved"] - 0.3


def test_the_states_are_those_that_the_intervention_sees(bench):
    """Rotating by 0 and by a whole period changes no answer."""
    rotate = FourierSubspaceIntervention(period=12, operation="rotate").fit(bench.states(), torch.arange(12))
    assert torch.equal(bench.answers(rotate, [0] * 200), bench.plain)
    assert torch.equal(bench.answers(rotate, [12] * 200), bench.plain)
    expected = bench.inputs.clone()
    expected[:, 0] = (expected[:, 0] + 5) % 12
    with torch.no_grad():
        other = bench.model(input_ids=expected).logits[:, -1].argmax(-1)
    assert torch.equal(bench.answers(rotate, [5] * 200), other)


def test_harmonics_share_the_power_and_are_idle_when_ablating_them_costs_nothing(bench):
    rows = by_harmonic(bench, count=6)
    powers = [row["power"] for row in rows]
    assert powers == sorted(powers, reverse=True)
    assert sum(powers) == pytest.approx(1, abs=1e-4)
    assert not rows[0]["idle"]
    for row in rows:
        cost = abs(row["right"] - row["right_ablated"])
        assert cost < 0.08 if row["idle"] else cost > 0.005


def test_a_run_writes_its_files_also_for_several_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    task = {"base": 12, "digits": 2, "modular": False, "period": 6}
    size = {"width": 16, "trials": 20, "controls": 1, "strongest": [1, 3]}
    training = {"steps": 2, "checks": 1, "batch_size": 8}
    experiment = {"name": "fourier_causal", **task, **size, "training": training}
    run({"experiment": experiment, "seed": 0, "device": "cpu", "wandb": {}}, tmp_path)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert [row["rank"] for row in saved["ranks"]][1] == 5
    assert len(saved["harmonics"]) == 3
    assert "| harmonics of T = 6 | rank |" in (tmp_path / "fourier_causal.md").read_text()
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_bad_settings_are_refused():
    with pytest.raises(InvalidArgumentError, match="trials=0 is not allowed"):
        FourierCausalConfig(trials=0)
