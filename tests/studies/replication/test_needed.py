import pytest

from numsym.studies.replication.claims import Cell
from numsym.studies.replication.needed import by_variable, has, needed, rows, verdicts


def alignment(iia, **controls):
    return {"test": {"iia": {"value": iia}}, "controls": {name: {"value": value} for name, value in controls.items()}}


def cells(network, task, variable, program="up_down", floor=0.07, ceiling=1.0, **iia):
    """Of each function its IIA, or that with what its untrained twin has."""
    made = []
    for function, value in iia.items():
        value, twin = value if isinstance(value, tuple) else (value, 0.05)
        one = alignment(value, floor=floor, ceiling=ceiling, permuted=0.06, untrained=twin)
        made.append(Cell(network, task, program, variable, function, (one,)))
    return made


def found(*groups):
    return {one.claim: one for one in verdicts([cell for group in groups for cell in group])}


def test_the_first_function_that_has_the_variable_is_the_one_needed():
    (mine,) = by_variable(
        cells("gru_20", "same_object", "count", orthogonal=0.58, linear=0.8, conditional=1.0)
    ).values()
    assert needed(mine) == "conditional (100.0)"
    (mine,) = by_variable(cells("gru_20", "multi_object", "count", orthogonal=0.9, linear=0.99)).values()
    assert needed(mine) == "rotation (90.0)"
    (mine,) = by_variable(cells("gru_20", "multi_object", "count", linear=0.89)).values()
    assert needed(mine) == "none"


def test_what_the_untrained_twin_has_too_is_not_had():
    (cell,) = cells("gru_20", "same_object", "count", conditional=(0.95, 0.9))
    assert not has(cell)


def test_a_failure_is_the_searchs_the_maps_or_nobodys():
    # Before, by rotation 7.9 and by LAF 40.8.
    ((*_, why),) = rows(cells("gru_20", "same_object", "count", orthogonal=0.58, linear=0.95, conditional=1.0))
    assert why == "rotation 7.9 -> 58.0: the map's; LAF 40.8 -> 95.0: the search's"
    ((*_, why),) = rows(cells("gru_20", "same_object", "count", orthogonal=0.58, linear=0.6, conditional=0.7))
    assert why == "rotation 7.9 -> 58.0: no function has it; LAF 40.8 -> 60.0: no function has it"
    ((*_, why),) = rows(cells("gru_20", "single_object", "full", orthogonal=0.9, linear=0.9))
    assert why == "-"


def test_a_failure_is_the_networks_where_the_whole_site_fails_too():
    name = "transformer_128", "single_object", "full"
    ((*_, why),) = rows(cells(*name, ceiling=0.174, orthogonal=0.145))
    assert why == "rotation 13.3 -> 14.5: the network's (whole site: 17.4)"
    ((*_, why),) = rows(cells(*name, ceiling=0.95, orthogonal=0.145))
    assert why == "rotation 13.3 -> 14.5: no function has it"


@pytest.mark.parametrize(
    ("claim", "holds", "fails"),
    [
        ("Every recurrent network holds Up-Down's count", {"conditional": 0.995}, {"conditional": 0.98}),
        (
            "Same-Object networks hold the count by another code in each phase",
            {"conditional": 0.9},
            {"conditional": 0.8},
        ),
        ("No function finds a count in untrained networks", {"linear": (0.9, 0.1)}, {"linear": (0.9, 0.3)}),
        ("Random subspaces do badly", {"linear": 0.95, "random": 0.1}, {"linear": 0.95, "random": 0.7}),
    ],
)
def test_each_claim_on_recurrent_networks_can_hold_and_fail(claim, holds, fails):
    assert found(cells("gru_20", "same_object", "count", **holds))[claim].verdict == "reproduced"
    assert found(cells("gru_20", "same_object", "count", **fails))[claim].verdict == "not reproduced"
    assert found(cells("transformer_128", "same_object", "count", **fails))[claim].verdict == "not measured"


def test_up_down_is_judged_against_up_up():
    claim = "Given the phase, Same-Object networks run Up-Down and not Up-Up"
    down = cells("gru_20", "same_object", "count", conditional=0.97)
    low, high = (cells("gru_20", "same_object", "demo_count", "up_up", conditional=iia) for iia in (0.3, 0.9))
    assert found(down, low)[claim].verdict == "reproduced"
    assert found(down, high)[claim].verdict == "not reproduced"


def test_a_transformer_fails_only_if_every_function_does():
    claim = "Shallow transformers fail Up-Down under every function"
    assert (
        found(cells("transformer_128", "multi_object", "full", linear=0.1, conditional=0.2))[claim].verdict
        == "reproduced"
    )
    assert (
        found(cells("transformer_128", "multi_object", "full", linear=0.1, conditional=0.6))[claim].verdict
        == "not reproduced"
    )
