import matplotlib.pyplot as plt
import torch
from numsym.plots.graded import FEWEST, graded_iia

from numsym.alignment import interchange_pairs
from numsym.analyses import Graded
from numsym.tasks import MultiObject


def test_grades_and_cells_are_drawn_where_there_are_pairs(generator):
    task = MultiObject(counts=range(1, 6), held_out=())
    pairs = interchange_pairs(task, task.program(), ("count",), 300, generator=generator)
    found = Graded.of(torch.rand(300, generator=generator) < 0.5, pairs)
    figure = graded_iia({"laf": found, "das": found})
    by_base = figure.axes[0].containers[0][0]
    drawn = {round(x): y for x, y in zip(by_base.get_xdata(), by_base.get_ydata(), strict=True)}
    assert drawn == {count: share.value for count, share in found.measurement.by_base_count.items()}
    grid = figure.axes[3].images[0].get_array()
    shown = sum(share.n >= FEWEST for share in found.cells.values())
    assert int((~torch.tensor(grid.filled(float("nan"))).isnan()).sum()) == shown
    assert {text.get_text() for axes in figure.axes if axes.legend_ for text in axes.legend_.get_texts()} == {
        "laf", "das",
    }  # fmt: skip
    plt.close(figure)
