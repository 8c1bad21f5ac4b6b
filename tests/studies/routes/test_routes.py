import json

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.models.adders import build_adder, number_rows
from numsym.probes import residue
from numsym.results import Mean
from numsym.studies import routes as study
from numsym.studies.periods import shares
from numsym.studies.routes import ROUTES, Routes, begin_with, task_of
from numsym.tasks import AdditionTask
from numsym.training import AdderTraining
from numsym.training.adders import Answers

SMALL = {
    "base": 10, "cuts": ("one", "left"), "architectures": ("gru",), "seeds": 2, "width": 8, "max_period": 3, "folds": 3,
    "training": AdderTraining(steps=4, checks=2, batch_size=8),
}  # fmt: skip
NAMES = [
    *(("muon", seed, cut) for seed in (0, 1) for cut in ("one", "left")),
    *((adamw, 0, cut) for adamw in ("adamw", "adamw x2") for cut in ("one", "left")),
]


def test_every_arm_is_trained_and_measured_at_each_check(tmp_path):
    found = study(**SMALL, run=Run(tmp_path / "run", track=False, quiet=True))
    assert [(one.optimiser, one.seed, one.cut) for one in found.runs] == NAMES
    for one in found.runs:
        longer = 2 if one.optimiser == "adamw x2" else 1
        assert [record["step"] for record in one.records] == [0, 2 * longer, 4 * longer]
        for record in one.records:
            assert {"loss", "accuracy", "test_accuracy", "kappa_2", "kappa_3", "phi_2", "phi_5"} <= set(record)
    untrained = number_rows(build_adder("gru", task_of("left", 10, 10), width=8, seed=1), 10)
    start = found.runs[3].records[0]
    assert start["kappa_3"] == residue(untrained, [3], 3, C=0.01).kappa[3]
    assert start["phi_5"] == shares(untrained, [5])[5]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert Routes.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "routes.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_is_the_mean_over_seeds():
    found = study(**SMALL, optimisers=("muon",))
    _, left = found.rows()
    assert (left["cut"], left["network"], left["optimiser"], left["seeds"]) == ("left", "gru", "muon", 2)
    values = [run.records[-1]["kappa_2"] for run in found.runs if run.cut == "left"]
    assert left["kappa_2"] == Mean.of(values)
    kappa, power, peaks = found.tables().values()
    ends = [run.records[-1] for run in found.runs if run.cut == "one"]
    assert [int(value) for value in kappa[0]["T=2"].split(", ")] == [round(end["kappa_2"]) for end in ends]
    assert kappa[0]["right, %"] == ", ".join(f"{100 * end['test_accuracy']:.1f}" for end in ends)
    assert power[1]["phi_2"] == left["phi_2"]
    assert [(row["cut"], row["seed"]) for row in peaks] == [("one", 0), ("one", 1), ("left", 0), ("left", 1)]


def test_it_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    asked = {**SMALL, "optimisers": ("muon",)}
    whole = study(**asked)
    losses = Answers.__call__
    calls: list[int] = []

    def killed(self, model, trials):
        calls.append(1)
        if len(calls) == 13:  # five losses a network: in the third one
            raise KeyboardInterrupt
        return losses(self, model, trials)

    monkeypatch.setattr(Answers, "__call__", killed)
    with pytest.raises(KeyboardInterrupt), Run(tmp_path / "run", track=False, quiet=True) as run:
        study(**asked, run=run)
    parts = tmp_path / "run" / "runs"
    assert sorted(path.name for path in parts.glob("[!.]*")) == ["left_gru_muon_0", "one_gru_muon_0"]
    again = study(**asked, run=Run(tmp_path / "run", track=False, quiet=True))
    assert len(calls) == 13 + 2 * 5  # two networks are kept
    assert again.to_dict() == whole.to_dict()


def test_the_numbers_that_are_cut_have_twice_as_many_digits_as_a_token():
    assert isinstance(task_of("one", 100, 5), AdditionTask)
    for cut in ROUTES[1:]:
        task = task_of(cut, 1000, 5)
        assert (task.digits, task.chunk, task.cut, task.numbers, task.held_out) == (6, 3, cut, 1000, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuts": ("middle",)}, "unknown cut 'middle': choose one of left"),
        ({"architectures": ("rnn",)}, "unknown architecture 'rnn': choose one of gated_deltanet, gru, lstm"),
        ({"optimisers": ("sgd",)}, "unknown optimiser 'sgd': choose one of adamw, muon"),
        ({"optimisers": ()}, "number of optimisers=0 is not allowed"),
        ({"base": 24}, "base=24 is not allowed: numbers are cut by decimal digits; 10, 100 or 1000"),
        ({"held_out": 1}, "held_out=1 is not allowed"),
        ({"seeds": 0}, "seeds=0 is not allowed"),
        ({"starts": ("word2vec",)}, "unknown start 'word2vec'"),
        ({"starts": ("glove",)}, "width=8 is not allowed: it must be at least 50"),
        ({"max_period": 1}, "max_period=1 is not allowed"),
        ({"max_period": 4}, "folds=3 is not allowed with period 4: of 10 numbers a residue has only 2"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(options, message, monkeypatch):
    monkeypatch.setattr("numsym.training.adders.fit", None)
    with pytest.raises(InvalidArgumentError, match=message):
        study(**{**SMALL, **options})


def test_which_periods_an_adder_uses_is_told_of_networks_that_pyvene_knows(tmp_path):
    options = {**SMALL, "optimisers": ("muon",), "seeds": 1, "cuts": ("left",), "trials": 20}
    run = Run(tmp_path / "run", track=False, quiet=True)
    (one,) = study(**{**options, "architectures": ("transformer",)}, run=run).runs
    assert [(spike.period, spike.rank, spike.right.n) for spike in one.spikes] == [(2, 1, 20), (5, 4, 20)]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    found = Routes.from_dict(written)
    assert found.runs[0].spikes == one.spikes
    used = found.tables()["the last token of a, turned and ablated"]
    assert [(row["cut"], row["T"], row["read"], row["written"]) for row in used] == [
        ("left", spike.period, spike.read, spike.written) for spike in one.spikes
    ]


def test_numbers_can_begin_as_gloves():
    vectors = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)) + 3
    model = build_adder("gru", task_of("left", 10, 10), width=8)
    before = model.get_input_embeddings().weight.detach().clone()
    begin_with(model, vectors)
    after = model.get_input_embeddings().weight.detach()
    centred = vectors - vectors.mean(0)
    assert torch.allclose(after[:10, :6] / centred, (after[0, 0] / centred[0, 0]).expand(10, 6), atol=1e-5)
    assert after[:10, :6].std() == pytest.approx(before.std().item(), rel=1e-4)
    assert torch.equal(after[:, 6:], before[:, 6:])
    assert torch.equal(after[10:], before[10:])
