"""Rows in text."""

from numsym.results.cells import aligned, brief, flat, formatted, markdown, number
from numsym.shares import Mean, Share


def test_cells_read_as_people_read_them():
    cells = [formatted(v) for v in (None, True, 0.12345, 1234.5, 3, "x", Share.of_counts(1, 2), Mean.of([0.5]))]
    assert cells == ["-", "yes", "0.123", "1234", "3", "x", "50.0 [9.5, 90.5]", "0.5"]
    assert (brief(None), brief(Share.of_counts(1, 2))) == ("-", "50.0")
    assert [number(v) for v in (999.4, 999.6, 0.05234)] == ["999", "1000", "0.0523"]
    assert aligned([]) == ["(no rows)"]
    assert flat({"a": 1}) == {"a": 1}


def test_markdown_keeps_its_columns_whatever_stands_in_a_cell():
    text = markdown([{"why": "a|b\nc", "n": 1.23456}, {"why": None, "n": 1234.5}])
    assert text == "| why | n |\n| --- | --- |\n| a\\|b c | 1.23 |\n| - | 1234 |\n"
