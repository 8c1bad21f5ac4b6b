import matplotlib.pyplot as plt

from numsym.analyses import Neurons
from numsym.plots.neurons import single_neurons
from numsym.shares import Share


def share(value):
    return Share(value, max(0.0, value - 0.1), min(1.0, value + 0.1), 100)


def test_neurons_are_sorted_and_sets_stand_by_size():
    found = Neurons(
        floor=share(0.1),
        each=(share(0.2), share(0.6), share(0.3)),
        sets={"probe": {1: share(0.2), 2: share(0.4)}, "greedy": {1: share(0.6), 2: share(0.7)}},
        chosen={"probe": [0, 1], "greedy": [1, 2]},
        n=100,
    )
    figure = single_neurons(found, share(0.9), "learned map (k = 4)")
    left, right = figure.axes
    assert list(left.containers[0][0].get_ydata()) == [0.6, 0.3, 0.2]
    assert [list(c[0].get_ydata()) for c in right.containers] == [[0.2, 0.4], [0.6, 0.7]]
    assert [label.get_text() for label in right.get_xticklabels()] == ["1", "2"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "no intervention", "learned map (k = 4)", "chosen by a probe", "chosen greedily",
    }  # fmt: skip
    plt.close(figure)
