import pytest
import torch

from numsym.alignment import Hypothesis, Site
from numsym.experiments.searched import aligned
from numsym.models import counting_gru
from numsym.runs import RunFolder
from numsym.tasks import MultiObject
from numsym.tracking import Tracker

TASK = MultiObject(counts=range(1, 5), held_out=(3,))
CONFIG = {
    "pairs": {"train": 100, "validation": 40, "test": 40},
    "search": {"max_steps": 2, "engine": "auto"},
    "controls": ["floor"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return RunFolder(tmp_path / "run", {"seed": 0})


def test_only_what_is_missing_is_searched_for_and_prefixes_keep_models_apart(folder):
    model = counting_gru(TASK.vocabulary, width=6)
    searches = {name: (Hypothesis(variable=name, subspace_dim=2), Site()) for name in ("count", "phase")}
    with Tracker(folder.path, {}, project="numsym") as tracker:
        first = aligned(folder, model, TASK, {"count": searches["count"]}, CONFIG, tracker)
        both = aligned(folder, model, TASK, searches, CONFIG, tracker)
        aligned(folder, model, TASK, searches, CONFIG, tracker, prefix="other.")
    assert list(both) == ["count", "phase"]
    assert both["count"].to_dict() == first["count"].to_dict()
    assert both["phase"].variables == ("phase",)
    names = {path.name for path in (folder / "alignments").iterdir()}
    assert names == {"count", "phase", "other.count", "other.phase"}
    stages = (folder / "metrics.jsonl").read_text().splitlines()
    assert len(stages) == 4
    assert torch.equal(model.embed.weight, counting_gru(TASK.vocabulary, width=6).embed.weight)
