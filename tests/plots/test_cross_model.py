import matplotlib.pyplot as plt

from numsym.plots.cross_model import across


def share(value):
    return {"value": value, "low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1), "n": 100}


def test_each_direction_is_a_row_and_those_within_a_network_are_hollow():
    iia = {"a->a": share(1.0), "b->a": share(0.8), "a->b": share(0.7), "b->b": share(0.9)}
    controls = {"floor": dict.fromkeys(iia, share(0.1)), "untrained": {"b->a": share(0.3)}}
    figure = across([{"names": ["a", "b"], "iia": iia, "controls": controls}])
    axes = figure.axes[0]
    points = [container[0] for container in axes.containers]
    assert [point.get_xdata()[0] for point in points] == [1.0, 0.8, 0.7, 0.9]
    assert [point.get_markerfacecolor() == "white" for point in points] == [True, False, False, True]
    drawn = [
        (line.get_marker(), line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata())
    ]
    assert ("v", 0.3, 1) in drawn
    assert sum(mark == "|" for mark, _, _ in drawn) >= 4
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"floor", "untrained"}
    plt.close(figure)
