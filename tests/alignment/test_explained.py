from numsym.alignment.explained import explained
from numsym.shares import Share


def test_every_cell_says_its_share_and_every_number_has_a_panel():
    cells = {("a", "a"): Share.of_counts(9, 10), ("a", "b"): Share.of_counts(1, 10), ("b", "a"): Share.of_counts(0, 10)}
    graded = {"count": {1: Share.of_counts(5, 10), 2: Share.of_counts(6, 10)}}
    figure = explained({"phase": cells}, graded, "a title")
    above, below = figure.axes
    assert sorted(text.get_text() for text in above.texts) == ["0", "10", "90"]
    assert [label.get_text() for label in above.get_yticklabels()] == ["a", "b"]
    assert below.get_xlabel() == "count"
