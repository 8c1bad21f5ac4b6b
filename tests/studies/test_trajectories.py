"""Paths of a hand-built counter, whose state is count * c + phase * p."""

import matplotlib.pyplot as plt
import pytest
import torch

from numsym import Run
from numsym.errors import InvalidArgumentError
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.models.counters import directions
from numsym.storage import read_json
from numsym.studies import trajectories
from numsym.studies.trajectories import Trajectories
from numsym.tasks import MultiObject, Parity

TASK = MultiObject(counts=range(1, 6), held_out=())


@pytest.fixture
def counter():
    return counting_gru(TASK.vocabulary, width=6)


def test_the_paths_are_those_of_the_known_state(counter):
    found = trajectories(counter, TASK, trials=200)
    count, phase, _ = directions(6, 90, 0)
    # B, five D, T, five R, E.
    values = [0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0, 0]
    state = torch.stack([v * count + (at >= 6) * phase for at, v in enumerate(values)])
    expected = (state - found.mean) @ found.components.T
    torch.testing.assert_close(found.paths[5], expected, atol=3e-5, rtol=0)
    assert found.answers == {n: n + 1 for n in range(1, 6)}
    assert found.explained[:2].sum().item() == pytest.approx(1, abs=1e-3)
    assert sum(found.trials.values()) == 200
    gram = found.components @ found.components.T
    torch.testing.assert_close(gram, torch.eye(3), atol=1e-5, rtol=0)
    assert [row["component"] for row in found.rows()] == [1, 2, 3]


@pytest.mark.parametrize("task", [MultiObject(void_prob=0.2), Parity()])
def test_trials_may_vary_in_length_and_the_task_be_another(task):
    model = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=task.vocab_size, hidden_size=8, num_layers=2))
    found = trajectories(model, task, trials=100, components=2, site="state:1")
    assert found.components.shape == (2, 8)
    assert all(path.isfinite().all() for path in found.paths.values())
    assert model.training


def test_a_run_writes_paths_that_are_read_again(counter, tmp_path):
    runs = [Run(tmp_path / "run", track=False, quiet=True) for _ in range(2)]
    found, again = (trajectories(counter, TASK, trials=50, run=run) for run in runs)
    read = Trajectories.from_dict(read_json(tmp_path / "run" / "results.json"))
    for other in (again, read):
        assert (other.answers, other.trials) == (found.answers, found.trials)
        for name in ("mean", "components", "explained"):
            torch.testing.assert_close(getattr(other, name), getattr(found, name), rtol=0, atol=0)
        assert all(torch.equal(other.paths[number], path) for number, path in found.paths.items())
    assert (tmp_path / "run" / "trajectories.png").stat().st_size > 10_000
    with pytest.raises(InvalidArgumentError, match=r"components=7 is not allowed: it must lie in 1..6"):
        trajectories(counter, TASK, components=7, run=Run(tmp_path / "other", track=False, quiet=True))
    assert not (tmp_path / "other").exists()


def test_each_number_has_a_path_and_a_point_where_answers_begin(counter):
    found = trajectories(counter, TASK, trials=60)
    figure = found.figure()
    left, right = figure.axes[:2]
    assert len(left.lines) == len(right.lines) == 3 * 5
    points = [line for line in right.lines if line.get_marker() == "o"]
    assert [int(line.get_xdata()[0]) for line in points] == [2, 3, 4, 5, 6]
    for number, line in zip(found.paths, points, strict=True):
        torch.testing.assert_close(float(line.get_ydata()[0]), found.paths[number][number + 1, 0].item())
    assert left.get_xlabel().startswith("PC 1 (")
    plt.close(figure)
