import json

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.results import Mean
from numsym.studies import signals as study
from numsym.studies.learners import Cell, read
from numsym.studies.signals import CORPORA, Signals, perturbed
from numsym.training import AdderTraining

SMALL = {
    "learners": ("ppmi", "gru"), "corpora": ("none", "all, isolated"), "seeds": 2, "numbers": 40, "sentences": 2000,
    "width": 8, "folds": 3, "max_period": 3, "training": AdderTraining(steps=4, checks=2, batch_size=8),
}  # fmt: skip
MADE = {"numbers": 40, "sentences": 2000, "per_row": 4, "strength": 0.9}


def test_every_cell_is_measured_and_kept(tmp_path):
    found = study(**SMALL, run=Run(tmp_path / "run", track=False, quiet=True))
    names = [(c, seed, who) for c in ("none", "all, isolated") for seed in (0, 1) for who in ("ppmi", "gru")]
    assert [(cell.corpus, cell.seed, cell.learner) for cell in found.cells] == names
    assert [record["step"] for record in found.cells[1].records] == [0, 2, 4]
    assert set(found.cells[0].kappa) == {2, 3}
    again = study(**SMALL, run=Run(tmp_path / "run", track=False, quiet=True))
    assert again.to_dict() == found.to_dict()
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert Signals.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "signals.png").read_bytes().startswith(b"\x89PNG")


def test_ppmi_reads_what_is_planted_and_no_more():
    options = {**SMALL, "learners": ("ppmi",), "sentences": 10_000, "width": 16, "seeds": 1}
    none, text, numbers = study(**{**options, "corpora": ("none", "text", "numbers")}).cells
    assert none.kappa[2] < 50 < min(text.kappa[2], numbers.kappa[2])


def test_a_perturbation_leaves_what_it_should():
    whole = perturbed("all", 0, 1, 4, MADE)
    numeric = (whole.rows < 40).sum(dim=1)
    swapped, unigrams = (perturbed(f"all, {how}", 0, 1, 4, MADE) for how in ("swapped", "unigrams"))
    assert torch.equal((swapped.rows < 40).sum(dim=1), numeric)
    assert torch.equal(swapped.occurrences, whole.occurrences)
    assert torch.equal(unigrams.rows < 40, whole.rows < 40)
    isolated, near = (perturbed(f"all, {how}", 0, 1, 4, MADE) for how in ("isolated", "context"))
    assert int((isolated.rows < 40).sum(dim=1).max()) == 1
    assert near.rows.shape[1] == 4
    for one in (isolated, near):
        assert int(((one.rows != one.pad).sum(dim=1)).min()) > 1
        assert one.occurrences.sum() > 0.9 * whole.occurrences.sum()


def cell(seed, kappa, above, corpus="text"):
    return Cell("ppmi", corpus, seed, kappa, above, {10: 0.5}, [])


def test_a_period_is_read_when_it_is_above_the_shuffles_with_every_seed():
    group = [cell(0, {2: 30.0, 5: 30.0}, {2: 10.0, 5: 10.0}), cell(1, {2: 20.0, 5: 5.0}, {2: 10.0, 5: 10.0})]
    assert read(group) == [2]
    (row,) = Signals(20, group).rows()
    assert (row["T=2"], row["read"], row["seeds"]) == (Mean.of([30.0, 20.0]), [2], 2)
    (table,) = Signals(20, group).tables().values()
    assert table[0]["read"] == "2"


def test_the_figure_names_what_is_read_in_bold():
    cells = [cell(0, {2: 70.0, 5: 3.0}, {2: 9.0, 5: 9.0}), cell(0, {2: 1.0, 5: 2.0}, {2: 9.0, 5: 9.0}, "none")]
    figure = Signals(20, cells).figure()
    first = figure.axes[0]
    assert [(text.get_text(), text.get_weight()) for text in first.texts] == [("70", "bold"), ("1", "normal")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learners": ("rnn",)}, "unknown learner 'rnn'"),
        ({"corpora": ("words",)}, "unknown corpus 'words'"),
        ({"corpora": ()}, "number of corpora=0 is not allowed"),
        ({"optimiser": "sgd"}, "unknown optimiser 'sgd'"),
        ({"seeds": 0}, "seeds=0 is not allowed"),
        ({"context": 0}, "context=0 is not allowed"),
        ({"width": 41}, "width=41 is not allowed: there are numbers=40"),
        ({"numbers": 30}, "numbers=30 is not allowed"),
        ({"max_period": 20}, "folds=3 is not allowed with period 14"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(options, message, monkeypatch):
    monkeypatch.setattr("numsym.training.adders.fit", None)
    with pytest.raises(InvalidArgumentError, match=message):
        study(**{**SMALL, **options})


def test_every_corpus_can_be_made():
    for name in CORPORA:
        assert perturbed(name, 1, 2, 3, MADE).count == 40
