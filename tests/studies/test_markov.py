import pytest
import torch

from numsym import Run
from numsym.errors import InvalidArgumentError
from numsym.models import (
    RecurrentConfig,
    RecurrentLM,
    TransformerConfig,
    TransformerLM,
    counting_gru,
    counting_transformer,
)
from numsym.storage import read_json
from numsym.studies import markov
from numsym.studies.markov import Markov
from numsym.tasks import MultiObject, Parity

TASK = MultiObject(counts=range(1, 5), held_out=(3,), void_prob=0.2)


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    vocabulary = {"vocab_size": TASK.vocab_size}
    return {
        "gru": RecurrentLM(RecurrentConfig(**vocabulary, hidden_size=6)),
        "attention": TransformerLM(TransformerConfig(**vocabulary, hidden_size=8, num_layers=2, num_heads=2)),
    }


@pytest.fixture(scope="module")
def found(models):
    return markov(models, TASK, tested=40)


def test_the_known_counters_are_the_two_extremes():
    known = {"state": counting_gru(TASK.vocabulary, width=4), "sum": counting_transformer(TASK.vocabulary)}
    found = markov(known, TASK, tested=200)
    state, total = found["state"], found["sum"]
    assert state.dependence["alike"].score == pytest.approx(1, abs=1e-6)
    assert total.dependence["alike"].score == 0
    assert state.evaluation.accuracy == total.evaluation.accuracy == 1
    alike = state.following["state:0"].alike
    assert alike.source.value + alike.both.value == 1
    assert state.following["state:0"].unlike["source"].value == 1
    # The sum does not care for one demonstration token in place of another; of the other kind, it does.
    assert total.following["block_output:0"].alike.base.value == 1
    assert total.following["all layers"].unlike["source"].value < 0.5


def test_every_site_is_tested_and_all_together(found):
    assert list(found["gru"].following) == ["state:0"]
    sites = ["block_input:0", "block_output:0", "block_output:1", "all layers"]
    assert list(found["attention"].following) == sites
    assert found["gru"].dependence["alike"].score == pytest.approx(1, abs=1e-3)
    shares = found["attention"].following["all layers"].alike
    assert sum(getattr(shares, kind).value for kind in ("source", "base", "neither", "both")) == pytest.approx(1)
    assert [len(rows) for rows in found.tables().values()] == [5, 2]
    assert [(row["network"], row["site"]) for row in found.rows()][:2] == [("gru", "state:0"), ("attention", sites[0])]


def test_a_run_tests_each_network_once_and_goes_on(models, found, tmp_path):
    with Run(tmp_path / "run", track=False, quiet=True) as run:
        first = markov({"gru": models["gru"]}, TASK, tested=40, run=run.within("a"))
    # The results of a part of a run are not the run's own.
    assert not (tmp_path / "run" / "results.json").exists()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "a").rglob("*.json")}
    again = markov(models, TASK, tested=40, run=Run(tmp_path / "run", track=False, quiet=True).within("a"))
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    assert again["gru"] == first["gru"]
    assert again == found
    assert markov(models, TASK, tested=40, run=Run(tmp_path / "other", track=False, quiet=True)) == found
    assert Markov.from_dict(read_json(tmp_path / "other" / "results.json")) == found


def test_the_models_come_back_as_they_were(models):
    for model in models.values():
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_cannot_be_tested_is_refused_before_any_work(models, tmp_path):
    parity = Parity(counts=range(1, 9))
    for task, networks, tested, message in (
        (parity, models, 40, "task='parity' is not allowed: the Markov tests need the programs up_down and ctx_distr"),
        (TASK, {}, 40, r"models=\{\} is not allowed: give at least one"),
        (TASK, models, 0, "tested=0 is not allowed"),
        (TASK, {"odd": torch.nn.Linear(2, 2)}, 40, "pyvene does not know Linear"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            markov(networks, task, tested=tested, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()
