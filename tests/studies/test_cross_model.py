"""A count exchanged between networks whose count is known, and with one that has none."""

import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.alignment import Hypothesis
from numsym.alignment.engines.cross import Side, features
from numsym.alignment.subject import find
from numsym.errors import InvalidArgumentError, ModelMismatchError, RunFolderError, UnknownNameError
from numsym.lab.run import Run
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.shares import Share
from numsym.studies.cross_model import CrossModel, CrossResult, cross_model
from numsym.tasks import TASKS, MultiObject, Parity

MULTI = MultiObject(counts=range(1, 6), held_out=(4,))
SINGLE = TASKS["single_object"](counts=range(1, 6), held_out=(4,))
COUNTS = {"train": 300, "validation": 60, "test": 100}
SEARCH = {"max_steps": 30, "learning_rate": 0.04, "check_every": 10, "batch_size": 48, "stop_at": 1.0}
SHORT = {
    "search": {"max_steps": 2, "check_every": 1, "starts": "random"},
    "pairs": {"train": 60, "validation": 20, "test": 30},
}
TWO = [Hypothesis(subspace_dim=2)]


@pytest.fixture(scope="module")
def sides():
    return (
        Side("multi", counting_gru(MULTI.vocabulary, width=6), MULTI),
        Side("single", counting_gru(SINGLE.vocabulary, width=8, seed=3, degrees=70), SINGLE),
    )


@pytest.fixture(scope="module")
def found(sides):
    return cross_model(sides, TWO, search=SEARCH, pairs=COUNTS).across[0]


def test_the_count_goes_both_ways_between_two_counters_of_different_tasks_and_widths(found):
    assert set(found.iia) == {"multi->multi", "single->multi", "multi->single", "single->single"}
    for direction, share in found.iia.items():
        assert share.value > 0.95, direction
        assert found.held_out[direction].value > 0.95, direction
        assert found.controls["floor"][direction].value < 0.4, direction
        assert found.controls["permuted"][direction].value < 0.45, direction
    assert found.across.value == min(found.iia["multi->single"].value, found.iia["single->multi"].value)
    assert set(found.starts) == set(found.ends) == {"random", "agreeing, regression"}
    assert found.starts["agreeing, regression"] > found.starts["random"] + 0.2
    assert set(found.controls["untrained"]) == {"single->multi", "multi->single"}
    # The states of a network with fresh weights still tell how many tokens there were, if there are five at most.
    assert all(share.value < found.across.value - 0.1 for share in found.controls["untrained"].values())


def test_it_is_saved_and_comes_back(found, sides, tmp_path):
    found.save(tmp_path / "across")
    again = CrossResult.load(tmp_path / "across", sides)
    assert again.to_dict() == CrossResult.load(tmp_path / "across").to_dict() == found.to_dict()
    for side, intervention, read in zip(found.sides, found.interventions, again.interventions, strict=True):
        h = torch.randn(5, side.model.config.hidden_size)
        assert torch.equal(features(read, h), features(intervention, h))
    other = replace(sides[0], model=counting_gru(MULTI.vocabulary, width=6, seed=9))
    with pytest.raises(ModelMismatchError):
        CrossResult.load(tmp_path / "across", (other, sides[1]))


def test_networks_their_gradients_and_hooks_are_left_as_they_were(sides, tmp_path):
    lstm = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=MULTI.vocab_size, hidden_size=8)).train()
    lstm.decoder.eval()
    before, seen = {name: value.clone() for name, value in lstm.state_dict().items()}, []
    lstm.embed.register_forward_hook(lambda *_: seen.append(True))
    both = (Side("lstm", lstm, MULTI), sides[0])
    for _ in range(2):  # searched for, and loaded
        cross_model(both, **SHORT, run=Run(tmp_path / "run", track=False, quiet=True))
        assert (lstm.training, lstm.decoder.training) == (True, False)
        assert all(p.requires_grad for p in lstm.parameters())
        assert all(torch.equal(before[name], value) for name, value in lstm.state_dict().items())
        seen.clear()
        lstm(torch.zeros(1, 2, dtype=torch.long))
        assert seen


def test_each_two_networks_are_aligned_and_not_twice(sides, tmp_path, monkeypatch):
    three = (*sides, Side("tilted", counting_gru(MULTI.vocabulary, width=7, seed=5), MULTI))
    free = cross_model(three, TWO, **SHORT)
    folder, calls = tmp_path / "run", []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return find(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Run(folder, track=False, quiet=True) as run:
        patch.setattr(sys.modules[CrossModel.__module__], "find", killed)
        cross_model(three, TWO, **SHORT, run=run)
    made = (folder / "across" / "multi.single" / "result.json").stat().st_mtime_ns
    found = cross_model(three, TWO, **SHORT, run=Run(folder, track=False, quiet=True))
    assert (folder / "across" / "multi.single" / "result.json").stat().st_mtime_ns == made
    assert found.to_dict() == free.to_dict()
    assert [one.names for one in found.across] == [("multi", "single"), ("multi", "tilted"), ("single", "tilted")]
    assert {path.name for path in (folder / "across").iterdir()} == {"multi.single", "multi.tilted", "single.tilted"}
    found.save(tmp_path / "saved")
    assert CrossModel.load(tmp_path / "saved").rows() == found.rows()
    with pytest.raises(RunFolderError, match="was made with pairs="):
        cross_model(three, TWO, **{**SHORT, "pairs": COUNTS}, run=Run(folder, track=False, quiet=True))


def test_several_hypotheses_are_searched_for_together_as_each_alone(sides):
    asked = {"das": Hypothesis(alignment="orthogonal", subspace_dim=2), "laf": Hypothesis(alignment="linear", seed=1)}
    together = cross_model(sides, asked, **SHORT, controls=("permuted",)).across
    alone = [cross_model(sides, {name: one}, **SHORT, controls=("permuted",)).across[0] for name, one in asked.items()]
    assert [one.alignment for one in together] == ["orthogonal", "linear"]
    for ours, own in zip(together, alone, strict=True):
        assert ours.iia == own.iia
        assert ours.controls == own.controls
        assert [r["loss"] for r in ours.records] == pytest.approx([r["loss"] for r in own.records], rel=1e-5)


def test_it_works_on_a_task_that_does_not_count():
    task = Parity(counts=range(1, 5), held_out=())
    both = [
        Side(name, RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=size)), task)
        for name, size in (("a", 6), ("b", 8))
    ]
    found = cross_model(both, **{**SHORT, "pairs": {"train": 20, "validation": 20, "test": 20}}, controls=False).across[
        0
    ]
    assert (found.variable, found.held_out, found.controls) == ("parity", {}, {})


@pytest.mark.parametrize(
    ("hypothesis", "options", "message"),
    [
        ({"alignment": "low_rank"}, {}, "unknown alignment across networks 'low_rank': choose one of linear, orthog"),
        ({"variable": "demo_count"}, {}, "unknown variable 'demo_count'"),
        ({"variable": ("count", "phase")}, {}, "is not allowed across networks: give one, or full"),
        ({}, {"controls": ("neurons",)}, "unknown control 'neurons'"),
        ({}, {"search": {"max_steps": 0}}, "max_steps=0 is not allowed"),
        ({"subspace_dim": 7}, {}, r"subspace_dim=7 is not allowed: it must lie in 1..6"),
    ],
)
def test_bad_arguments_are_named(hypothesis, options, message, sides, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        cross_model(sides, [Hypothesis(**hypothesis)], **options, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()


def test_two_networks_have_two_names_and_are_recurrent(sides):
    with pytest.raises(InvalidArgumentError, match=r"sides=\['multi', 'multi'\] is not allowed: give two networks or"):
        cross_model([sides[0], sides[0]])
    with pytest.raises(InvalidArgumentError, match="model of type Linear at state:0 is not allowed across networks"):
        cross_model([sides[0], Side("b", torch.nn.Linear(2, 2), MULTI)])
    with pytest.raises(UnknownNameError, match="unknown program of multi_object 'down'"):
        cross_model([sides[0], replace(sides[0], name="b", program="down")])


def share(value):
    return Share(value, max(0.0, value - 0.1), min(1.0, value + 0.1), 100)


def test_each_direction_is_a_row_and_those_within_a_network_are_hollow():
    iia = {"a->a": share(1.0), "b->a": share(0.8), "a->b": share(0.7), "b->b": share(0.9)}
    controls = {"floor": dict.fromkeys(iia, share(0.1)), "untrained": {"b->a": share(0.3)}}
    one = CrossResult(("a", "b"), "count", "linear", 2, 0, 9, True, iia, {}, controls, ("", ""), [])
    found = CrossModel((one,))
    axes = (figure := found.figure()).axes[0]
    points = [container[0] for container in axes.containers]
    assert [point.get_xdata()[0] for point in points] == [1.0, 0.8, 0.7, 0.9]
    assert [point.get_markerfacecolor() == "white" for point in points] == [True, False, False, True]
    drawn = [
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata())
    ]
    assert ("v", 0.3, 1) in drawn
    assert sum(mark == "|" for mark, _, _ in drawn) >= 4
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"floor", "untrained", "within one"}
    plt.close(figure)
    assert [(row["direction"], row["untrained"]) for row in found.rows()][:2] == [("a->a", None), ("b->a", share(0.3))]
    assert len(repr(found).splitlines()) == 6
