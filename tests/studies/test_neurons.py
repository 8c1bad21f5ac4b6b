"""Neurons of a hand-built counter, before and after its plane is turned onto the first two axes."""

import matplotlib.pyplot as plt
import pytest
import torch

from numsym import Run, align_many
from numsym.alignment import Hypothesis, interchange_pairs
from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.shares import Share
from numsym.storage import read_json
from numsym.studies import neurons
from numsym.studies.neurons import Exchanged, Neurons, draw, exchange
from numsym.tasks import MultiObject, Parity

TASK = MultiObject(counts=range(1, 7), held_out=(4,))
OPTIONS = {"search": {"max_steps": 2, "check_every": 2}, "pairs": {"train": 120, "validation": 40, "test": 50}}


def pairs(n, seed):
    return interchange_pairs(TASK, TASK.program(), ("count",), n, generator=torch.Generator().manual_seed(seed))


def test_a_count_in_one_neuron_is_found_there_and_nowhere_else(turned_counter):
    found = exchange(turned_counter(TASK.vocabulary), pairs(200, 0), pairs(150, 1), sizes=(1, 2))
    assert found.best == 0
    assert found.each[0].value == 1
    assert found.chosen["probe"][0] == found.chosen["greedy"][0] == 0
    assert found.sets["greedy"][1].value == found.sets["probe"][1].value == 1
    # Neurons that hold nothing change nothing: the floor.
    for neuron in range(2, 6):
        assert found.each[neuron].value == found.floor.value
    assert found.floor.value < 0.4


def test_a_count_spread_over_neurons_is_in_none_of_them(turned_counter):
    found = exchange(counting_gru(TASK.vocabulary, width=6), pairs(200, 0), pairs(150, 1), sizes=(1, 6), greedy=False)
    assert max(share.value for share in found.each) < 0.7
    assert set(found.sets) == {"probe"}
    assert len(found.chosen["probe"]) == 6
    # All of them are the whole state, phase included, which is another exchange.
    assert found.sets["probe"][6].n == found.n == 150


def test_neurons_stand_beside_the_learned_map_and_the_model_comes_back(turned_counter, tmp_path):
    model, seen = turned_counter(TASK.vocabulary), []
    hook = model.embed.register_forward_hook(lambda *_: seen.append(1))
    model.train().decoder[0].weight.requires_grad_(False)
    before = [(name, p.requires_grad) for name, p in model.named_parameters()]
    asked = {"count": Hypothesis(subspace_dim=2)}

    def measure(**changes):
        run = Run(tmp_path / "run", track=False, quiet=True)
        return neurons(model, TASK, asked, **{"sizes": (1, 2), "run": run, **OPTIONS, **changes})

    found = measure()
    assert found.neurons["count"].best == 0
    assert found.learned["count"] == align_many(model, TASK, asked, controls=("floor",), **OPTIONS)[0].test.iia
    assert found.coordinates == {"count": 2}
    assert [row["exchanged"] for row in found.rows()][-1] == "learned map (k = 2)"
    assert measure() == found
    assert Neurons.from_dict(read_json(tmp_path / "run" / "results.json")) == found
    assert (tmp_path / "run" / "neurons_count.png").stat().st_size > 10_000
    with pytest.raises(RunFolderError, match=r"was made with sizes=\[1, 2\] \(now \[1\]\)"):
        measure(sizes=(1,))
    assert model.training
    assert [(name, p.requires_grad) for name, p in model.named_parameters()] == before
    assert list(model.embed._forward_hooks) == [hook.id]
    assert seen


def test_another_task_is_searched_for_what_it_names():
    task = Parity(counts=range(1, 9))
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=4))
    found = neurons(model, task, sizes=(1,), **{**OPTIONS, "pairs": {"train": 40, "validation": 10, "test": 10}})
    assert list(found.neurons) == ["parity"]
    assert len(found.neurons["parity"].each) == 4


def test_wrong_arguments_are_refused_before_any_work(turned_counter, tmp_path):
    model = turned_counter(TASK.vocabulary)
    for changes, message in (
        ({"sizes": (7,)}, r"sizes=7 is not allowed: it must lie in 1..6"),
        ({"sizes": ()}, r"sizes=\(\) is not allowed: give at least one"),
        ({"site": "state:1"}, "layer=1 is not allowed"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            neurons(model, TASK, run=Run(tmp_path / "run", track=False, quiet=True), **{**OPTIONS, **changes})
    assert not (tmp_path / "run").exists()


def share(value):
    return Share(value, max(0.0, value - 0.1), min(1.0, value + 0.1), 100)


def test_neurons_are_sorted_and_sets_stand_by_size():
    found = Exchanged(
        floor=share(0.1),
        each=(share(0.2), share(0.6), share(0.3)),
        sets={"probe": {1: share(0.2), 2: share(0.4)}, "greedy": {1: share(0.6), 2: share(0.7)}},
        chosen={"probe": [0, 1], "greedy": [1, 2]},
        n=100,
    )
    figure = draw(found, share(0.9), "learned map (k = 4)")
    left, right = figure.axes
    assert list(left.containers[0][0].get_ydata()) == [0.6, 0.3, 0.2]
    assert [list(c[0].get_ydata()) for c in right.containers] == [[0.2, 0.4], [0.6, 0.7]]
    assert [label.get_text() for label in right.get_xticklabels()] == ["1", "2"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "no intervention", "learned map (k = 4)", "chosen by a probe", "chosen greedily",
    }  # fmt: skip
    plt.close(figure)
