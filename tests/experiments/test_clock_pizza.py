import json

import pytest
import torch
from numsym.experiments.clock_pizza import analyse, circle_table, read_adder, run

from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.models import LinearModularConfig, LinearModularModel, ModularTransformer, ModularTransformerConfig


@pytest.fixture
def planted():
    """An untrained transformer whose embeddings are two circles: frequencies 2 and 5 of p = 13."""
    model = ModularTransformer(ModularTransformerConfig(p=13, hidden_size=8, num_attention_heads=2)).eval()
    t = torch.arange(13)[:, None] * (2 * torch.pi / 13)
    circles = torch.cat([3 * (2 * t).cos(), 3 * (2 * t).sin(), (5 * t).cos(), (5 * t).sin()], 1)
    with torch.no_grad():
        model.embed.weight.copy_(torch.cat([circles, torch.zeros(13, 4)], 1))
    return model


def test_everything_is_written(planted, tmp_path):
    report = analyse(planted, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    figures = ["attention.png", "circles.png", "correct_logits.png", "fve.png"]
    assert names == sorted([*figures, "report.json", "verdict.txt"])
    for name in figures:
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "verdict.txt").read_text() == report.line + "\n"
    assert report.line.startswith("does not add")
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["frequency"] for row in written["circles"]] == [2, 5]
    assert [row["turned"] for row in written["turning"]] == [[2], [5], [2, 5]]
    with pytest.raises(RunFolderError, match="exists already"):
        analyse(planted, tmp_path / "out")


def test_an_adder_without_circles_or_attention_has_fewer_figures(tmp_path):
    model = LinearModularModel(LinearModularConfig(p=59, hidden_size=64)).eval()
    analyse(model, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["correct_logits.png", "report.json", "verdict.txt"]


def test_saved_folders_are_read(planted, tmp_path):
    planted.save_pretrained(tmp_path / "transformer")
    LinearModularModel(LinearModularConfig(p=5, hidden_size=4, kind="B")).save_pretrained(tmp_path / "linear")
    again = read_adder(tmp_path / "transformer")
    assert torch.equal(again.embed.weight, planted.embed.weight)
    assert not again.training
    assert read_adder(tmp_path / "linear").config.kind == "B"


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InvalidArgumentError, match="holds a 'gpt2': it must be one of numsym_modular_transformer"):
        read_adder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match="holds a None"):
        read_adder(tmp_path / "empty")
    with pytest.raises(InvalidArgumentError, match="there is no such file"):
        read_adder(tmp_path / "none")


def test_the_command_writes_a_run_folder(planted, composed, tmp_path):
    planted.save_pretrained(tmp_path / "model")
    config = composed("experiment=clock_pizza", f"model_path={tmp_path / 'model'}")
    assert config["experiment"]["name"] == "clock_pizza"
    report = run(config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "results.json").read_text())["verdict"] == report.metrics.verdict
    assert (tmp_path / "run" / "adder" / "verdict.txt").read_text() == report.line + "\n"
    table = circle_table(report)
    assert table.row_count == len(report.circles) == 2
    with pytest.raises(RunFolderError, match="holds a finished run"):
        run(config, tmp_path / "run")
