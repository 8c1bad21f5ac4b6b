import matplotlib.pyplot as plt

from numsym.analyses import Curve, Point
from numsym.plots.curves import curves
from numsym.shares import Share


def share(value):
    return Share(value, max(0.0, value - 0.1), min(1.0, value + 0.1), 100)


def point(x, accuracy, iia):
    return Point(x, accuracy, {"count": share(iia)}, {"count": share(iia / 2)}, {"count": {"floor": share(0.05)}})


def test_a_panel_shows_iia_accuracy_and_the_floor_of_a_curve():
    steps = Curve("steps", (point(0, 0.0, 0.1), point(10, 0.4, 0.3), point(100, 1.0, 0.9)), {"count": 1.0})
    width = Curve("width", (point(8, 1.0, 0.5), point(16, 1.0, 0.8)), {"count": None})
    figure = curves(steps, width)
    left, right = figure.axes
    assert list(left.containers[0][0].get_ydata()) == [0.1, 0.3, 0.9]
    lines = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert lines["trial accuracy"] == [0.0, 0.4, 1.0]
    assert lines["floor count"] == [0.05] * 3
    assert lines["IIA count, held-out"] == [0.05, 0.15, 0.45]
    assert (left.get_xlabel(), right.get_xlabel()) == ("steps", "width")
    assert "count 1.00" in left.get_title(loc="left")
    assert right.get_title(loc="left") == ""
    assert [label.get_text() for label in right.get_xticklabels()] == ["8", "16"]
    plt.close(figure)
