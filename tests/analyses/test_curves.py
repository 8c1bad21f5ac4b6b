import json

import pytest

from numsym.alignment import Hypothesis, PairCounts, align_many
from numsym.alignment.controls import untrained
from numsym.analyses import Curve, iia_by_k, iia_of_models
from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 5), held_out=(3,))
COUNTS = PairCounts(train=150, validation=40, test=60)
SEARCH = {"pairs": COUNTS, "max_steps": 3, "controls": ("floor",)}
ASKED = {"count": Hypothesis(subspace_dim=2), "phase": Hypothesis(variable="phase", subspace_dim=2)}


@pytest.fixture(scope="module")
def models():
    known = counting_gru(TASK.vocabulary, width=6)
    return {10: known, 0: untrained(known, 0)}


def test_each_point_is_what_align_finds_there(models):
    curve = iia_of_models("steps", models, TASK, ASKED, **SEARCH)
    assert [point.x for point in curve.points] == [0, 10]
    assert (curve.axis, curve.names) == ("steps", ["count", "phase"])
    assert curve.points[0].accuracy == 0
    assert curve.points[1].accuracy == 1
    alone = align_many(models[10], TASK, [ASKED["phase"]], **SEARCH)[0]
    assert curve.points[1].iia["phase"].value == pytest.approx(alone.iia, abs=0.05)
    assert curve.points[1].controls["phase"]["floor"] == alone.controls["floor"]
    assert set(curve.points[0].held_out) == {"count", "phase"}
    # Two points that both rise: the ranks agree.
    assert curve.correlation["count"] == pytest.approx(1)
    assert curve.to_dict()["n"] == 2
    json.dumps(curve.to_dict(), allow_nan=False)


def test_what_does_not_vary_has_no_rank_correlation(models):
    curve = iia_by_k(models[10], TASK, {"count": Hypothesis()}, (1, 2, 4), **SEARCH)
    assert [point.x for point in curve.points] == [1, 2, 4]
    assert curve.correlation == {"count": None}
    with pytest.raises(InvalidArgumentError, match="rows is empty"):
        Curve.of("steps", {})
    with pytest.raises(InvalidArgumentError, match="subspace_dim=7 is not allowed"):
        iia_by_k(models[10], TASK, {"count": Hypothesis()}, (7,), **SEARCH)
