import json

from numsym.lab.report.courses import MOST, POINTS, courses


def test_curves_are_those_of_the_parts(finished):
    (chart,) = courses(finished).values()
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    wanted = [(line["stage"].removeprefix("alignments/"), line["step"], round(100 * line["iia"], 2)) for line in lines]
    assert [tuple(row.values()) for row in chart["data"]["values"]] == wanted


def test_long_and_many_courses_are_thinned_and_the_last_point_is_kept(tmp_path):
    records = [{"stage": f"s{i}", "step": step, "accuracy": 0.5} for i in range(MOST + 3) for step in range(POINTS * 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    ((caption, chart),) = courses(tmp_path).items()
    assert caption.endswith(f"(the first {MOST} of {MOST + 3})")
    rows = chart["data"]["values"]
    assert len(rows) <= MOST * POINTS
    assert rows[-1]["step"] == POINTS * 3 - 1


def test_a_run_without_a_course_has_no_chart(tmp_path):
    assert courses(tmp_path) == {}
