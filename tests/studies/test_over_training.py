import pytest
import torch

from numsym import Run, align_many, train
from numsym.alignment import Hypothesis
from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.models import RecurrentConfig, RecurrentLM, read_model
from numsym.storage import read_json
from numsym.studies import over_training
from numsym.studies.over_training import OverTraining
from numsym.tasks import MultiObject, Parity

TASK = MultiObject(counts=range(1, 5), held_out=(3,))
ASKED = {name: Hypothesis(variable=name, subspace_dim=4) for name in ("count", "phase")}
TRAINING = {"steps": 30, "learning_rate": 0.01}
OPTIONS = {
    "search": {"max_steps": 2, "check_every": 2}, "pairs": {"train": 120, "validation": 40, "test": 50},
    "controls": ("floor",), "seed": 3,
}  # fmt: skip


def fresh(task=TASK, seed=0):
    torch.manual_seed(seed)
    return RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))


def measured(model, **changes):
    return over_training(model, TASK, ASKED, **{"checkpoints": 2, "training": TRAINING, **OPTIONS, **changes})


def test_each_point_is_what_is_found_in_a_model_trained_that_long():
    curve = measured(model := fresh())
    assert [point.x for point in curve.points] == [0, 10, 30]
    assert curve.names == ["count", "phase"]
    # The model itself has been trained, and can be trained further.
    train(whole := fresh(), TASK, seed=3, **TRAINING)
    for ours, its in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, its)
        assert ours.requires_grad
    part = fresh()
    train(part, TASK, seed=3, **{**TRAINING, "steps": 10})
    options = {name: OPTIONS[name] for name in ("search", "pairs", "controls")}
    for index, alone in ((0, fresh()), (1, part), (2, whole)):
        for name, result in zip(ASKED, align_many(alone, TASK, ASKED, **options), strict=True):
            assert curve.points[index].iia[name] == result.test.iia
            assert curve.points[index].controls[name] == result.controls


def test_an_interrupted_run_goes_on_and_ends_as_without_a_run(tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # While it is trained: the first checkpoint is there, the model is not.
        patch.setattr("numsym.training.next_token.next_token_loss", stop)
        with pytest.raises(KeyboardInterrupt), Run(tmp_path / "run", track=False, quiet=True) as run:
            measured(fresh(), run=run)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["000000"]
    assert not (tmp_path / "run" / "model").exists()
    with monkeypatch.context() as patch:
        # And once all is searched for.
        patch.setattr(OverTraining, "of", stop)
        with pytest.raises(KeyboardInterrupt), Run(tmp_path / "run", track=False, quiet=True) as run:
            measured(fresh(), run=run)
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.*") if p.parent != tmp_path / "run"}
    curve = measured(fresh(), run=Run(tmp_path / "run", track=False, quiet=True))
    assert all(path.stat().st_mtime_ns == time for path, time in parts.items())
    assert len(list((tmp_path / "run").glob("step*/alignments/*"))) == 6
    assert curve == measured(fresh())
    results = read_json(tmp_path / "run" / "results.json")
    assert OverTraining.from_dict(results) == curve
    assert results["training"]["log"]["steps"] == 30
    assert (tmp_path / "run" / "over_training.png").stat().st_size > 10_000
    # A checkpoint is a model by itself.
    kept = read_model(tmp_path / "run" / "checkpoints" / "000000")
    for ours, its in zip(kept.parameters(), fresh().parameters(), strict=True):
        assert torch.equal(ours, its)


def test_a_run_is_not_gone_on_with_by_another_training_and_lost_checkpoints_are_made_again(tmp_path, caplog):
    curve = measured(fresh(), run=Run(tmp_path / "run", track=False, quiet=True))
    with pytest.raises(RunFolderError, match=r"was made with .*steps=30 \(now 20\)"):
        measured(fresh(), training={**TRAINING, "steps": 20}, run=Run(tmp_path / "run", track=False, quiet=True))
    one, other = (tmp_path / "run" / "checkpoints" / name / "model.safetensors" for name in ("000000", "000010"))
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[0][:-1])
    other.parent.rename(tmp_path / "elsewhere")
    assert measured(fresh(), run=Run(tmp_path / "run", track=False, quiet=True)) == curve
    assert (one.read_bytes(), other.read_bytes()) == content
    assert "000000 is damaged (model.safetensors): set aside as" in caplog.text


def test_another_task_is_searched_for_what_it_names():
    task = Parity(counts=range(1, 9))
    options = {**OPTIONS, "pairs": {"train": 20, "validation": 10, "test": 10}}
    curve = over_training(fresh(task), task, checkpoints=2, training={"steps": 10}, **options)
    assert (curve.names, len(curve.points)) == (["parity"], 2)


def test_wrong_arguments_are_refused_before_the_training(tmp_path):
    for changes, message in (
        ({"checkpoints": 1}, "checkpoints=1 is not allowed"),
        ({"training": {"epochs": 3}}, "unknown setting of training 'epochs': choose one of batch_size"),
        ({"training": {"steps": 30, "batch_size": 0}}, "batch_size=0 is not allowed"),
        ({"site": "stat"}, "unknown component of RecurrentLM 'stat'"),
        ({"controls": ("roof",)}, "unknown control 'roof'"),
    ):
        model = fresh()
        with pytest.raises(InvalidArgumentError, match=message):
            measured(model, run=Run(tmp_path / "run", track=False, quiet=True), **changes)
        assert torch.equal(next(model.parameters()), next(fresh().parameters()))
    assert not (tmp_path / "run").exists()
