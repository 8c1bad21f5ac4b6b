"""Charts as specifications: what they carry, and that Vega-Lite can draw them."""

import pytest
import vl_convert

from numsym.figures import charts
from numsym.shares import Share

ROWS = [
    {"recipe": "das", "iia": Share.of_counts(9, 10), "floor": Share.of_counts(1, 10), "untrained": None},
    {"recipe": "laf", "iia": Share.of_counts(10, 10), "floor": Share.of_counts(1, 10), "untrained": None},
]
CELLS = [{"source": s, "base": b, **charts.percent(Share.of_counts(s, 10))} for b in (1, 2) for s in (10, 9, 2)]
COURSE = [{"stage": name, "step": step, "IIA": 10.0 * step} for name in ("das", "laf") for step in (1, 2)]


def only(made):
    (chart,) = made.values()
    return chart


STATES = [{"component 1": 1.0, "component 2": float(i), "count": str(i), "phase": "response"} for i in (10, 9)]
MADE = {
    "beside_controls": lambda: charts.beside_controls(ROWS, "recipe"),
    "by_group": lambda: charts.by_group({"das": {1: ROWS[0]["iia"], 2: ROWS[1]["iia"]}}, [2], x="number of the base"),
    "course": lambda: charts.course(COURSE, y="IIA"),
    "plane": lambda: only(charts.plane(STATES, [{"component 1": 1.0, "component 2": 0.5, "share": 0.9}], [0.6, 0.4])),
    "along": lambda: only(charts.along([3.0, 1.0], [0.0, 1.0])),
    "heatmap": lambda: charts.heatmap(CELLS, x="source", y="base"),
}


@pytest.mark.parametrize("name", MADE)
def test_vega_lite_draws_every_number(name):
    spec = MADE[name]().to_dict()  # which checks it against Vega-Lite's schema
    drawn = vl_convert.vegalite_to_svg(spec)
    marks = sum(drawn.count(f'aria-roledescription="{kind}"') for kind in ("point", "rect mark", "bar"))
    wanted = {"beside_controls": 4, "by_group": 2, "course": 4, "heatmap": 6, "plane": 3, "along": 4}[name]
    assert marks == wanted
    assert drawn.count("NaN") == 0


def test_a_share_is_in_percent_with_its_interval():
    assert charts.percent(Share(0.5, 0.25, 0.751234, 12)) == {"percent": 50.0, "low": 25.0, "high": 75.12, "n": 12}


def test_a_map_keeps_the_order_of_words_and_sorts_numbers():
    spec = charts.heatmap(CELLS, x="source", y="base").to_dict()
    assert spec["encoding"]["x"]["sort"] == [2, 9, 10]
    words = charts.heatmap([{"site": s, "at": 1, "percent": 1.0} for s in ("b:1", "b:0")], x="at", y="site").to_dict()
    assert words["encoding"]["y"]["sort"] == ["b:1", "b:0"]


def test_numbers_in_a_legend_stand_in_their_order():
    spec = MADE["plane"]().to_dict()
    assert spec["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["9", "10"]


def test_held_out_numbers_have_a_mark_of_their_own():
    spec = MADE["by_group"]().to_dict()
    assert [row["numbers"] for row in spec["data"]["values"]] == ["of training", "held out"]
    filled = [layer["mark"]["filled"] for layer in spec["layer"] if layer["mark"]["type"] == "point"]
    assert filled == [True, False]


def test_what_was_not_measured_is_not_drawn():
    spec = MADE["beside_controls"]().to_dict()
    assert {row["measure"] for row in spec["data"]["values"]} == {"IIA", "floor"}
