import pytest

from numsym.alignment import shown


@pytest.fixture
def found():
    import numsym

    task = numsym.tasks.MultiObject(counts=range(1, 4), held_out=(2,))
    model = numsym.models.counting_gru(task.vocabulary)
    few = {"pairs": {"train": 40, "validation": 20, "test": 30}, "search": {"max_steps": 1}, "controls": ("floor",)}
    return numsym.align(model, task, subspace_dim=1, **few)


def test_one_result_has_a_question_a_finding_and_charts(found):
    assert "hold count of the program up_down as a variable at state" in found.question
    ((word, why),) = found.findings()
    assert word == "not compared"
    assert "permuted and untrained controls were not run" in why
    charts = found.charts()
    assert list(charts) == list(shown.pictures({"linear": found}))
    by_base = next(chart for caption, chart in charts.items() if caption.startswith("By the number of the base"))
    rows = by_base.to_dict()["data"]["values"]
    drawn = {(row["number of the base"], row["numbers"]): row["percent"] for row in rows}
    assert set(drawn) == {(1, "of training"), (2, "held out"), (3, "of training")}
    assert drawn[2, "held out"] == pytest.approx(100 * found.held_out.by_base_count[2].value, abs=0.01)


def test_a_notebook_shows_all_of_it(found):
    written = found._repr_html_()
    for text in (found.question, "<b>not compared</b>", "<table"):
        assert text in written
