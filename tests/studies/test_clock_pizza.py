import json
import shutil

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import Adder
from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.models import (
    LinearModularConfig,
    LinearModularModel,
    ModularTransformer,
    ModularTransformerConfig,
    RecurrentConfig,
    RecurrentLM,
)
from numsym.studies import clock_pizza
from numsym.studies.clock_pizza import ClockPizza

FIGURES = ["circuit_metrics", "correct_logits", "fve", "circles", "turning", "attention"]


@pytest.fixture
def planted():
    """An untrained transformer whose embeddings are two circles: frequencies 2 and 5 of p = 13."""
    model = ModularTransformer(ModularTransformerConfig(p=13, hidden_size=8, num_attention_heads=2)).eval()
    t = torch.arange(13)[:, None] * (2 * torch.pi / 13)
    circles = torch.cat([3 * (2 * t).cos(), 3 * (2 * t).sin(), (5 * t).cos(), (5 * t).sin()], 1)
    with torch.no_grad():
        model.embed.weight.copy_(torch.cat([circles, torch.zeros(13, 4)], 1))
    return model


def test_everything_is_measured_drawn_and_saved(planted, tmp_path):
    found = clock_pizza(planted)
    assert found.title.startswith("does not add")
    assert [row["frequency"] for row in found.rows()] == [2, 5]
    assert [turning.turned for turning in found.turned.turnings] == [(2,), (5,), (2, 5)]
    found.save(tmp_path / "saved")
    read = ClockPizza.load(tmp_path / "saved")
    assert read.to_dict() == found.to_dict()
    assert torch.equal(read.logits.matrix, found.logits.matrix)
    assert list(read.figures()) == FIGURES
    plt.close("all")


def test_a_run_is_gone_on_with(planted, tmp_path):
    found = clock_pizza(planted, run=Run(tmp_path / "run", track=False, quiet=True))
    assert sorted(path.stem for path in (tmp_path / "run").glob("*.png")) == sorted(FIGURES)
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (written["study"], written["report"]["line"]) == ("clock_pizza", found.title)
    # Killed after the first part: the other is made, the first is as it was.
    (tmp_path / "run" / "results.json").unlink()
    shutil.rmtree(tmp_path / "run" / "turned")
    made = (tmp_path / "run" / "report" / "result.json").stat().st_mtime_ns
    again = clock_pizza(planted, run=Run(tmp_path / "run", track=False, quiet=True))
    assert (tmp_path / "run" / "report" / "result.json").stat().st_mtime_ns == made
    assert again.to_dict() == found.to_dict()


def test_an_adder_without_circles_or_attention_has_fewer_figures():
    model = LinearModularModel(LinearModularConfig(p=59, hidden_size=64)).eval()
    found = clock_pizza(model, triples=10)
    assert (found.turned, found.attention) == (None, None)
    assert list(found.figures()) == ["circuit_metrics", "correct_logits"]
    assert found.rows() == found.report.metrics.rows()
    plt.close("all")


def test_a_wrapped_adder_will_do(planted):
    embed_a, embed_b = planted.operand_embeddings()
    found = clock_pizza(Adder(embed_a.detach(), embed_b.detach(), planted.answer_logits), triples=20)
    assert found.report == clock_pizza(planted, triples=20).report


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (RecurrentLM(RecurrentConfig(hidden_size=4)), {}, "model of type RecurrentLM is not a modular adder"),
        (
            LinearModularModel(LinearModularConfig(p=9, hidden_size=4)),
            {},
            "p=9 is not allowed: the verdict needs an odd",
        ),
        (LinearModularModel(LinearModularConfig(p=5, hidden_size=4)), {"triples": 126}, "triples=126 is not allowed"),
        (
            LinearModularModel(LinearModularConfig(p=5, hidden_size=4)),
            {"triples": "some"},
            "it must be 'all' or a number",
        ),
    ],
)
def test_what_is_refused_leaves_no_folder(model, options, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        clock_pizza(model, **options, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()
