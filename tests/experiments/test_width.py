import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.width import run

TINY = [
    "experiment=width", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "experiment.widths=[6,8]", "experiment.dimensions=[1,3]",
]  # fmt: skip


def test_there_is_a_point_for_each_width_and_each_k(composed, tmp_path):
    by_width, by_k = run(composed(*TINY), tmp_path / "run")
    assert [point.x for point in by_width.points] == [6, 8]
    assert [point.x for point in by_k.points] == [1, 3]
    assert by_k.names == ["LAF", "DAS", "low_rank"]
    # The network of the recipe is trained once and serves both.
    models = {path.parent.name for path in (tmp_path / "run").glob("*/model.safetensors")}
    assert models == {"model", "width006"}
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["by_width"]["axis"] == "width"
    assert results["by_k"]["axis"] == "coordinates exchanged (k), width 8"
    assert (tmp_path / "run" / "width.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    for change in ("experiment.dimensions=[9]", "experiment.widths=[]", "experiment.widths=[0]"):
        with pytest.raises(InvalidArgumentError):
            run(composed(*TINY, change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
