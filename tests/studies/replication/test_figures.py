import pytest

from numsym.studies.replication.claims import Cell
from numsym.studies.replication.figures import graded_iia, iia_of_cells


def alignment(iia):
    share = {"value": iia, "low": iia - 0.05, "high": iia + 0.02, "n": 100}
    graded = {str(count): share for count in range(1, 6)}
    return {"test": {"iia": share, "by_base_count": graded, "by_difference": graded}, "controls": {"permuted": share}}


@pytest.fixture
def cells():
    return [
        Cell(network, task, "up_down", variable, function, (alignment(0.9), alignment(0.8)))
        for network in ("gru_20", "gru_128") for task in ("multi_object", "same_object")
        for variable in ("count", "phase") for function in ("orthogonal", "linear")
    ]  # fmt: skip


def test_every_cell_has_its_bar_and_its_seeds(cells):
    figure = iia_of_cells(cells)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert [round(bar.get_height(), 2) for bar in axes.patches] == [0.85] * 4
        assert sorted(len(line.get_ydata()) for line in axes.lines) == [1] * 4 + [2] * 4
    assert [text.get_text() for text in figure.axes[2].get_xticklabels()] == ["count", "phase"]


def test_the_graded_figure_has_a_row_a_network_and_a_colour_a_task(cells):
    figure = graded_iia(cells)
    assert len(figure.axes) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["multi_object", "same_object"]
    assert all(len(axes.containers) == 2 for axes in figure.axes)
