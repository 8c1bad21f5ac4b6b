"""A hypothesis' defaults and names."""

import numpy as np
import pytest

from numsym.alignment import Hypothesis, named
from numsym.errors import InvalidArgumentError
from numsym.tasks import TASKS, MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))


@pytest.mark.parametrize(
    ("variable", "width", "expected"), [("count", 8, 4), ("count", 100, 16), (("count", "phase", "full"), 9, 3)]
)
def test_coordinates_are_shared_out_if_not_given(variable, width, expected):
    assert Hypothesis(variable=variable).checked(TASK, width).subspace_dim == expected
    assert Hypothesis(variable=variable, subspace_dim=1).checked(TASK, width).subspace_dim == 1


def test_what_is_not_named_is_the_tasks_own():
    assert Hypothesis().of(TASK) == Hypothesis("up_down", "count")
    assert Hypothesis("ctx_distr").of(TASK).variable == "value"
    for name in TASKS:
        if not name.endswith("_prompts"):
            task = TASKS[name]()
            program, variable = task.search
            assert variable in task.program(program).variables, name
    assert [Hypothesis().checked(TASK, width).alignment for width in (512, 513)] == ["linear", "low_rank"]


def test_hypotheses_are_named_by_what_tells_them_apart():
    listed = [Hypothesis(variable="phase", alignment=kind) for kind in ("linear", "orthogonal")]
    assert list(named(listed, TASK)) == ["phase.linear", "phase.orthogonal"]
    assert list(named([Hypothesis(seed=1), Hypothesis(seed=1)], TASK)) == ["count.0", "count.1"]
    assert named(None, TASK) == {"count": Hypothesis("up_down", "count")}
    assert named({"mine": Hypothesis()}, TASK) == {"mine": Hypothesis("up_down", "count")}
    with pytest.raises(InvalidArgumentError, match=r"hypotheses=\[\] is not allowed: name at least one"):
        named([], TASK)


def test_checking_builds_no_map(monkeypatch):
    monkeypatch.setattr("torch.empty", None)
    Hypothesis(alignment="linear").checked(TASK, 1_000_000)


def test_a_run_knows_a_dictionary_by_what_it_holds_and_not_by_its_place(tmp_path):
    """And without one what was asked is written as it was before there were dictionaries."""
    drawn = {"encoder": np.ones((3, 4)), "decoder": np.ones((4, 3))}
    for name, factor in (("one", 1.0), ("same", 1.0), ("other", 2.0)):
        np.savez(tmp_path / f"{name}.npz", **{**drawn, "bias": factor * np.ones(4)})
    asked = [Hypothesis(alignment="sae", dictionary=str(tmp_path / f"{name}.npz")).asked()
             for name in ("one", "same", "other")]  # fmt: skip
    assert asked[0] == asked[1] != asked[2]
    assert "dictionary" not in Hypothesis().asked()
    assert Hypothesis(seed=3).asked()["seed"] == 3
