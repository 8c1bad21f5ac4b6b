import pytest
import torch

from numsym.alignment import Hypothesis, Site
from numsym.errors import InvalidArgumentError
from numsym.experiments.searched import aligned, check, options_of
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.models import counting_gru
from numsym.tasks import MultiObject

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "gpu"}, "device='gpu' is not allowed"),
        ({"controls": ["floors"]}, "unknown control 'floors': choose one of ceiling"),
        ({"search": {"max_steps": 0, "engine": "auto"}}, "max_steps=0 is not allowed"),
        ({"search": {"max_step": 1, "engine": "auto"}}, "unknown key of search 'max_step': choose one of batch_size"),
        ({"search": {"engine": "fast"}}, "unknown engine 'fast'"),
        ({"pairs": {"train": 0}}, "train_pairs=0 is not allowed"),
        ({"pairs": {"training": 9}}, "unknown key of pairs 'training': choose one of test, train, validation"),
    ],
)
def test_what_every_experiment_has_is_checked_before_any_work(change, message):
    check({"device": "cpu", **CONFIG})
    with pytest.raises(InvalidArgumentError, match=message):
        check({"device": "cpu", **CONFIG, **change})


def test_options_are_what_the_configuration_says():
    options = options_of(CONFIG)
    assert (options["settings"].max_steps, options["pairs"].train) == (2, 100)
    assert (options["engine"], options["controls"]) == ("auto", ["floor"])
