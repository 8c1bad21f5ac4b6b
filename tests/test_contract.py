"""A few of the wrong values of `make faults`: every public callable refuses them in a sentence, or is right."""

import runpy
from pathlib import Path

import pytest

FAULTS = Path(__file__).parent / "faults"


@pytest.fixture(scope="module")
def contract():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FAULTS)
        yield runpy.run_path(str(FAULTS / "contract.py"))


@pytest.fixture(scope="module")
def rightly(contract, tmp_path_factory):
    return contract["Rightly"](str(tmp_path_factory.mktemp("rightly")))


def test_what_is_made_wrong_is_right_before(contract, rightly):
    """Else what is refused is another argument; a replication's runs and a published checkpoint are not at hand."""
    wrong = contract["wrong_before"](rightly)
    assert {name.rpartition(".")[2] for name in wrong} == {"replication", "load_pizza", "CountingTask"}
    assert {*wrong.values()} == {"refused"}


def test_wrong_values_are_refused_in_a_sentence_or_are_right(contract, rightly):
    """Never another exception, never NaN in silence."""
    counts, failed = contract["campaign"](120, rightly)
    assert failed == {}
    assert counts["refused"] > 60


def test_every_room_is_tried(contract):
    known = contract["callables"]()
    assert {name.partition(".")[0] for name in known} == {"numsym", *contract["ROOMS"]}
    assert len(known) > 150


def test_a_foreign_exception_and_a_nan_are_seen(contract):
    outcome = contract["outcome"]

    def divides(by: float) -> float:
        return 1 / by

    assert outcome(divides, {"by": 0}) == "ZeroDivisionError: division by zero"
    assert outcome(lambda: float("nan"), {}) == "a result with NaN"
