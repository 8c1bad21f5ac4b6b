import json
import math

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.models.adders import build_adder, number_rows
from numsym.probes import residue
from numsym.studies import two_routes as study
from numsym.studies.two_routes import Periods, Route, TwoRoutes, by_step, shares
from numsym.tasks.addition import AdditionTask
from numsym.training import AdderTraining
from numsym.training.adders import Answers

SMALL = {
    "base": 24, "architectures": ("gru",), "width": 8, "max_period": 4, "folds": 4,
    "training": AdderTraining(steps=4, checks=2, batch_size=8),
}  # fmt: skip
NAMES = ["single gru, adamw", "multi gru, adamw", "single gru, muon", "multi gru, muon"]


def test_every_combination_is_trained_and_measured_at_each_check(tmp_path):
    found = study(**SMALL, run=Run(tmp_path / "run", track=False, quiet=True))
    assert list(found.runs) == NAMES
    for one in found.runs.values():
        assert [record["step"] for record in one.records] == [0, 2, 4]
        for record in one.records:
            assert {"loss", "accuracy", "kappa_2", "kappa_3", "kappa_4", "phi_2", "phi_12"} <= set(record)
    untrained = number_rows(build_adder("gru", AdditionTask(base=24, digits=3), width=8), 24)
    start = found.runs["multi gru, muon"].records[0]
    assert start["kappa_3"] == residue(untrained, [3], 4, C=0.01).kappa[3]
    assert start["phi_12"] == shares(untrained, [12])[12]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert TwoRoutes.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "two_routes.png").read_bytes().startswith(b"\x89PNG")
    assert found.rows()[0]["run"] == NAMES[0]
    kappa, power, peaks = found.tables().values()
    last = found.runs[NAMES[0]].records[-1]
    assert kappa[0] == {"run": NAMES[0], **{f"T={T}": str(round(last[f"kappa_{T}"])) for T in (2, 3, 4)}}
    assert power[0] == {"run": NAMES[0], "accuracy": last["accuracy"], "phi_2": last["phi_2"]}
    assert [row["run"] for row in peaks] == NAMES


def test_it_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    whole = study(**SMALL)
    losses = Answers.__call__
    calls: list[int] = []

    def killed(self, model, rows):
        calls.append(1)
        if len(calls) == 13:  # five losses a network: in the third one
            raise KeyboardInterrupt
        return losses(self, model, rows)

    monkeypatch.setattr(Answers, "__call__", killed)
    with pytest.raises(KeyboardInterrupt), Run(tmp_path / "run", track=False, quiet=True) as run:
        study(**SMALL, run=run)
    parts = tmp_path / "run" / "runs"
    assert sorted(path.name for path in parts.glob("[!.]*")) == ["multi_gru_adamw", "single_gru_adamw"]
    again = study(**SMALL, run=Run(tmp_path / "run", track=False, quiet=True))
    assert len(calls) == 13 + 10
    assert again.to_dict() == whole.to_dict()


def test_the_share_of_a_pure_wave_is_one_at_its_period_and_its_multiples():
    n = torch.arange(60)[:, None].double()
    found = shares((2 * math.pi * n / 5).cos() + 3, [2, 3, 5, 10, 15])
    assert found == pytest.approx({2: 0, 3: 0, 5: 1, 10: 1, 15: 1}, abs=1e-12)


def test_noise_has_the_share_of_its_frequencies():
    noise = torch.randn(100, 4000, generator=torch.Generator().manual_seed(0))
    for T, share in shares(noise, [2, 5, 50]).items():
        assert share == pytest.approx((T - 1) / 99, rel=0.1)


def test_power_is_measured_at_longer_divisors_too():
    assert Periods(24, 4, 4, 0.01).probed == [2, 3, 4]
    assert Periods(24, 4, 4, 0.01).powers == [2, 3, 4, 6, 8, 12]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"routes": ("double",)}, "unknown route 'double': choose one of multi, single"),
        ({"architectures": ("rnn",)}, "unknown architecture 'rnn': choose one of gru, lstm, transformer"),
        ({"optimisers": ("sgd",)}, "unknown optimiser 'sgd': choose one of adamw, muon"),
        ({"optimisers": ()}, "number of optimisers=0 is not allowed"),
        ({"max_period": 1}, "max_period=1 is not allowed"),
        ({"max_period": 8}, "folds=4 is not allowed with period 7: of 24 numbers a residue has only 3"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(options, message, monkeypatch):
    monkeypatch.setattr("numsym.training.adders.fit", None)
    with pytest.raises(InvalidArgumentError, match=message):
        study(**{**SMALL, **options})


def test_each_quantity_has_a_panel_with_each_run():
    curves = {
        f"{route} gru, adamw": [{"step": s, "a": s * k, "b": 1.0} for s in (0, 5)]
        for k, route in enumerate(("single", "multi"))
    }
    figure = by_step(curves, {"a": "first", "b": "second"}, title="t")
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("first", "second")
    assert [list(line.get_ydata()) for line in first.lines] == [[0, 0], [0, 5]]
    # The same network has the same colour on both routes, and a route its own dashes.
    assert first.lines[0].get_color() == first.lines[1].get_color()
    assert first.lines[0].get_linestyle() != first.lines[1].get_linestyle()


def test_the_peaks_are_named():
    record = {"step": 0, "loss": 1.0, "accuracy": 0.0, "phi_2": 0.1}
    rows = TwoRoutes({"single gru, adamw": Route("single", [record], [(2.5, 3.04)]), "b": Route("multi", [record], [])})
    assert [row["peaks"] for row in rows.rows()] == ["2.5 (3.0)", "none"]
    assert [row["period (x median)"] for row in rows.tables()["peaks of the spectrum"]] == ["2.5 (3.0)", "none"]
