from numsym.studies.routes import Route, Routes


def test_the_figure_has_a_row_a_network_and_a_point_a_seed():
    records = [{"step": s, "kappa_2": 1.0, "kappa_10": 2.0, "test_accuracy": 0.5} for s in (0, 5)]
    runs = [Route(cut, "gru", "muon", seed, records, []) for cut in ("one", "left") for seed in (0, 1)]
    figure = Routes(100, [*runs, Route("one", "lstm", "muon", 0, records, [])]).figure()
    first = figure.axes[0]
    assert len(figure.axes) == 6
    assert first.get_title() == "gru, muon"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "left"]
    assert len(first.lines) == 4 + 1
    assert first.lines[0].get_color() == first.lines[1].get_color() != first.lines[2].get_color()
    assert list(figure.axes[1].lines[0].get_ydata()) == [2.0, 2.0]


def test_the_peaks_are_named():
    last = {"step": 0, "loss": 1.0, "test_accuracy": 0.0, "kappa_2": 3.0, "phi_2": 0.1}
    found = Routes(
        10, [Route("one", "gru", "adamw", 0, [last], [(2.5, 3.04)]), Route("left", "gru", "adamw", 0, [last], [])]
    )
    assert [row["period (x median)"] for row in found.tables()["peaks of the spectrum"]] == ["2.5 (3.0)", "none"]
