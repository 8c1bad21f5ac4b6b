import pytest
from numsym.plots.style import write

from numsym.alignment import align
from numsym.models import counting_gru
from numsym.plots.alignment import iia_by_count
from numsym.tasks import MultiObject


@pytest.fixture(scope="module")
def result():
    task = MultiObject()
    model = counting_gru(task.vocabulary)
    return align(model, task, max_steps=2, train_pairs=200, test_pairs=200, controls=("floor",))


def test_the_points_are_the_shares_and_their_intervals(result):
    figure = iia_by_count([result, result], ["das", "laf"])
    left, right = figure.axes
    points = [container[0] for container in left.containers]
    drawn = {round(x): y for line in points for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    shares = {**result.test.by_base_count, **result.held_out.by_base_count}
    assert {count: share.value for count, share in shares.items()} == {c: drawn[c] for c in shares}
    assert len(left.containers) == 4
    assert len(right.containers) == 2
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "das", "laf", "held-out count", "no intervention",
    }  # fmt: skip


def test_it_is_written_whole(result, tmp_path):
    path = write(iia_by_count([result], ["laf"]), tmp_path / "figure.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]
