import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.studies import fourier_causal as study
from numsym.studies.fourier_causal import FourierCausal, by_harmonic, by_rank
from numsym.training import AdderTraining

QUICK = {
    "base": 12, "digits": 2, "modular": False, "period": 6, "width": 16, "trials": 20, "random_subspaces": 1,
    "strongest": (1, 3), "training": AdderTraining(steps=2, checks=1, batch_size=8),
}  # fmt: skip


def test_rotating_all_harmonics_is_reading_the_other_number(bench):
    """With all harmonics of T = base the rotation of digit a by s is the state of a + s: the answer follows."""
    _, every = by_rank(bench, (1, 6), 2)
    assert every.rank == 11
    assert every.moved.value > 0.95
    assert every.right_ablated.value < 0.5
    assert every.random_moved.value < every.moved.value - 0.3
    assert every.random_moved.n == 400
    assert every.random_moved.value <= every.random_moved_most.value


def test_harmonics_share_the_power_and_are_idle_when_ablating_them_costs_nothing(bench):
    rows = by_harmonic(bench, count=6)
    powers = [row.power for row in rows]
    assert powers == sorted(powers, reverse=True)
    assert sum(powers) == pytest.approx(1, abs=1e-4)
    assert not rows[0].idle
    for row in rows:
        cost = abs(row.right.value - row.right_ablated.value)
        assert cost < 0.08 if row.idle else cost > 0.005


def test_a_run_writes_its_result_also_for_several_tokens_and_is_found_again(tmp_path, monkeypatch):
    found = study(**QUICK, run=Run(tmp_path / "run", track=False, quiet=True))
    assert [one.rank for one in found.ranks][1] == 5
    assert len(found.harmonics) == 3
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert FourierCausal.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    assert (tmp_path / "run" / "fourier_causal.png").read_bytes().startswith(b"\x89PNG")
    # As if it had been killed after the training: nothing is trained again.
    (tmp_path / "run" / "results.json").unlink()
    monkeypatch.setattr("numsym.training.adders.fit", None)
    again = study(**QUICK, run=Run(tmp_path / "run", track=False, quiet=True))
    assert again.to_dict() == found.to_dict()


def test_tables_and_figure_show_what_was_found():
    found = study(**QUICK)
    rotated, ablated, harmonics = found.tables().values()
    assert found.rows()[1]["harmonics"] == "1, 2, 3"
    assert [row["harmonics"] for row in rotated] == [1, 3]
    assert list(rotated[0]) == ["harmonics", "rank", "moved", "random_moved", "random_moved_most"]
    assert list(ablated[0]) == ["harmonics", "rank", "right_ablated", "random_right_ablated"]
    assert len(harmonics) == 3
    left, right = found.figure().axes
    for axes, name in ((left, "moved"), (right, "right_ablated")):
        fitted, random = (bars.lines[0].get_ydata().tolist() for bars in axes.containers)
        assert fitted == [getattr(one, name).value for one in found.ranks]
        assert random == [getattr(one, f"random_{name}").value for one in found.ranks]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials=0 is not allowed"),
        ({"random_subspaces": 0}, "random_subspaces=0 is not allowed"),
        ({"strongest": ()}, "number of strongest=0 is not allowed"),
        ({"strongest": (0,)}, "strongest=0 is not allowed"),
        ({"period": 13}, r"period=13 is not allowed: it must lie in 2..12"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(options, message, monkeypatch):
    monkeypatch.setattr("numsym.training.adders.fit", None)
    with pytest.raises(InvalidArgumentError, match=message):
        study(**{**QUICK, **options})
