import matplotlib.pyplot as plt
import pytest

import numsym
from numsym.alignment import PairCounts
from numsym.models import counting_gru
from numsym.studies.compare.figure import comparison
from numsym.tasks import MultiObject


@pytest.fixture(scope="module")
def found():
    task = MultiObject(counts=range(1, 5), held_out=(3,))
    counts = PairCounts(train=100, validation=50, test=60)
    model = counting_gru(task.vocabulary, width=6)
    return numsym.compare(
        model,
        task,
        ["up_down", "up_up"],
        pairs=counts,
        subspace_dim=2,
        search={"max_steps": 2},
        controls=("floor", "permuted"),
    )


def test_each_hypothesis_is_a_row_with_its_iia_and_controls(found):
    figure = comparison(found)
    left = figure.axes[0]
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == [one.name for one in found.hypotheses]
    drawn = [(float(c[0].get_xdata()[0]), int(c[0].get_ydata()[0])) for c in left.containers]
    assert drawn == [(one.iia.value, row) for row, one in enumerate(found.hypotheses)]
    crosses = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert crosses == [one.controls["permuted"].value for one in found.hypotheses]
    plt.close(figure)


def test_the_grid_says_how_many_pairs_tell_two_hypotheses_apart(found):
    figure = comparison(found)
    texts = {
        (round(t.get_position()[0]), round(t.get_position()[1])): t.get_text()
        for t in figure.axes[1].texts if t.get_text().startswith("of")
    }  # fmt: skip
    names = [one.name for one in found.hypotheses]
    for each in found.contrasts:
        i, j = names.index(each.first), names.index(each.second)
        assert texts[j, i] == texts[i, j] == f"of {100 * each.told_apart:.0f} %"
    assert len(texts) == len(names) * (len(names) - 1)
    plt.close(figure)
