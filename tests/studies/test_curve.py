import json

import matplotlib.pyplot as plt
import pytest

from numsym.alignment import Hypothesis, align_many
from numsym.alignment.controls import untrained
from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru
from numsym.shares import Share
from numsym.studies.curve import RANK, Curve, Point, draw
from numsym.tasks import MultiObject


def share(value):
    return Share(value, max(0.0, value - 0.1), min(1.0, value + 0.1), 100)


def point(x, accuracy, iia):
    return Point(x, accuracy, {"count": share(iia)}, {"count": share(iia / 2)}, {"count": {"floor": share(0.05)}})


STEPS = Curve("steps", (point(0, 0.0, 0.1), point(10, 0.4, 0.3), point(100, 1.0, 0.9)), {"count": 1.0})


def test_a_curve_is_made_of_the_alignments_at_its_points():
    task = MultiObject(counts=range(1, 5), held_out=(3,))
    known = counting_gru(task.vocabulary, width=6)
    asked = {"count": Hypothesis(subspace_dim=2), "phase": Hypothesis(variable="phase", subspace_dim=2)}
    options = {"search": {"max_steps": 3}, "pairs": {"train": 150, "validation": 40, "test": 60}}
    rows = {}
    for x, accuracy, model in ((10, 1.0, known), (0, 0.0, untrained(known, 0))):
        found = align_many(model, task, asked, controls=("floor",), **options)
        rows[x] = accuracy, dict(zip(asked, found, strict=True))
    curve = Curve.of("steps", rows)
    assert [one.x for one in curve.points] == [0, 10]
    assert (curve.axis, curve.names) == ("steps", ["count", "phase"])
    assert curve.points[1].iia["phase"] == rows[10][1]["phase"].test.iia
    assert curve.points[1].controls["phase"]["floor"] == rows[10][1]["phase"].controls["floor"]
    assert set(curve.points[0].held_out) == {"count", "phase"}
    # Two points that both rise: the ranks agree. Where one of the two does not vary, there is no correlation.
    assert curve.correlation["count"] == pytest.approx(1)
    still = Curve.of("steps", {0: (1.0, rows[0][1]), 10: (1.0, rows[10][1])})
    assert still.correlation == {"count": None, "phase": None}
    with pytest.raises(InvalidArgumentError, match="rows is empty"):
        Curve.of("steps", {})


def test_it_is_a_table_by_point_and_hypothesis_and_is_read_again(tmp_path):
    row = STEPS.rows()[1]
    assert (row["x"], row["hypothesis"], row["iia"].value, row["floor"].value) == (10, "count", 0.3, 0.05)
    assert STEPS.tables()["by steps, over 3 points"] == [{"hypothesis": "count", RANK: 1.0}]
    json.dumps(STEPS.to_dict(), allow_nan=False)
    STEPS.save(tmp_path / "curve")
    assert Curve.load(tmp_path / "curve") == STEPS


def test_a_panel_shows_iia_accuracy_and_the_floor_of_a_curve():
    width = Curve("width", (point(8, 1.0, 0.5), point(16, 1.0, 0.8)), {"count": None})
    figure = draw(STEPS, width)
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
