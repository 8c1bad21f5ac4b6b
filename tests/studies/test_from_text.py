import json
import random

import pytest

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.studies import from_text as study
from numsym.studies.from_text import FromText, appears
from numsym.studies.learners import Cell
from numsym.training import AdderTraining

SMALL = {
    "learners": ("ppmi", "gru"), "width": 8, "length": 12, "folds": 3, "max_period": 3, "vocabulary": 50,
    "training": AdderTraining(steps=4, checks=2, batch_size=8),
}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Even numbers have pairs beside them, odd ones singles."""
    path = tmp_path_factory.mktemp("text") / "shop.txt"
    draw = random.Random(0)
    words = [f"word{chr(97 + i)}" for i in range(20)]
    lines = [
        f"Buy {n} {('pairs', 'singles')[n % 2]} {draw.choice(words)} {draw.choice(words)}."
        for n in range(40)
        for _ in range(8)
    ]
    path.write_text("\n".join(lines))
    return str(path)


def test_a_text_is_read_learnt_and_measured(text, tmp_path):
    found = study(
        text, **SMALL, perturbations=("whole", "isolated"), run=Run(tmp_path / "run", track=False, quiet=True)
    )
    assert (found.numbers, found.least, found.tokens) == (40, 8, (40 * 8 * 6, 40 * 8))
    kinds = [(how, who) for how in ("whole", "isolated") for who in ("ppmi", "gru")]
    assert [(cell.corpus, cell.learner) for cell in found.cells] == kinds
    assert found.cells[0].kappa[2] > 50 > 30 > found.cells[0].kappa[3]
    assert found.rows()[0]["read"] == [2]
    assert [record["step"] for record in found.cells[1].records] == [0, 2, 4]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert FromText.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "from_text.png").read_bytes().startswith(b"\x89PNG")


def test_a_period_appears_where_kappa_stays_above_the_shuffles():
    def cell(*kappas):
        records = [{"step": i, "numbers": 100 * i, "kappa_2": kappa} for i, kappa in enumerate(kappas)]
        return Cell("gru", "whole", 0, {2: kappas[-1]}, {2: 10.0}, {2: 0.1}, records)

    assert appears(cell(0.0, 20.0, 5.0, 20.0, 30.0), 2) == 300
    assert appears(cell(20.0, 20.0), 2) is None
    assert appears(cell(20.0, 35.0), 2) == 100
    assert appears(cell(20.0, 5.0), 2) is None
    found = FromText("a", "one", 40, 8, (10, 5), [cell(0.0, 20.0), cell(0.0, 0.0, 0.0, 50.0)])
    assert found.rows()[0]["appears"] == {2: 300}
    assert found.tables()[found.title][0]["read"] == "2"
    single = FromText("a", "one", 40, 8, (10, 5), [cell(0.0, 20.0)])
    assert single.tables()[single.title][0]["read"] == "2 (one seed: no finding)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cut": "middle"}, "unknown cut 'middle'"),
        ({"learners": ("rnn",)}, "unknown learner 'rnn'"),
        ({"perturbations": ("gone",)}, "unknown perturbation 'gone'"),
        ({"numbers": 50}, "numbers=50 is not allowed: 40 occurs 0 times"),
        ({"max_period": 20}, "the text has too few numbers: those of 0..39 occur least=5 times each"),
        ({"text": "nowhere/*.txt"}, "no file, and no data set"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(text, options, message, monkeypatch):
    monkeypatch.setattr("numsym.training.adders.fit", None)
    with pytest.raises(InvalidArgumentError, match=message):
        study(**{"text": text, **SMALL, **options})
