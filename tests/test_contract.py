"""A few of the wrong values of `make faults`: every public callable refuses them in a sentence, or is right."""

import runpy
from pathlib import Path

CONTRACT = Path(__file__).parent / "faults" / "contract.py"


def test_wrong_values_are_refused_in_a_sentence_or_are_right():
    """Never another exception, never NaN in silence."""
    counts, failed = runpy.run_path(str(CONTRACT))["campaign"](120)
    assert failed == {}
    assert counts["refused"] > 60


def test_every_room_is_tried():
    contract = runpy.run_path(str(CONTRACT))
    known = contract["callables"]()
    assert {name.partition(".")[0] for name in known} == {"numsym", *contract["ROOMS"]}
    assert len(known) > 150


def test_a_foreign_exception_and_a_nan_are_seen():
    outcome = runpy.run_path(str(CONTRACT))["outcome"]

    def divides(by: float) -> float:
        return 1 / by

    assert outcome(divides, {"by": 0}) == "ZeroDivisionError: division by zero"
    assert outcome(lambda: float("nan"), {}) == "a result with NaN"
