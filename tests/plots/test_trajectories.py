import matplotlib.pyplot as plt
import torch

from numsym.analyses import trajectories
from numsym.models import counting_gru
from numsym.plots.trajectories import paths
from numsym.tasks import MultiObject


def test_each_number_has_a_path_and_a_point_where_answers_begin():
    task = MultiObject(counts=range(1, 5), held_out=())
    found = trajectories(counting_gru(task.vocabulary, width=6), task, trials=60)
    figure = paths(found)
    left, right = figure.axes[:2]
    assert len(left.lines) == len(right.lines) == 3 * 4
    points = [line for line in right.lines if line.get_marker() == "o"]
    assert [int(line.get_xdata()[0]) for line in points] == [2, 3, 4, 5]
    for number, line in zip(found.paths, points, strict=True):
        torch.testing.assert_close(float(line.get_ydata()[0]), found.paths[number][number + 1, 0].item())
    assert left.get_xlabel().startswith("PC 1 (")
    plt.close(figure)
