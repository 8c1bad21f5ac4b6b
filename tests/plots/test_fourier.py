from numsym.plots.fourier import over_training


def test_each_quantity_has_a_panel_with_each_run():
    curves = {
        f"{route} gru, adamw": [{"step": s, "a": s * k, "b": 1.0} for s in (0, 5)]
        for k, route in enumerate(("single", "multi"))
    }
    figure = over_training(curves, {"a": "first", "b": "second"}, title="t")
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("first", "second")
    assert [list(line.get_ydata()) for line in first.lines] == [[0, 0], [0, 5]]
    # The same model has the same colour on both routes, and a route its own dashes.
    assert first.lines[0].get_color() == first.lines[1].get_color()
    assert first.lines[0].get_linestyle() != first.lines[1].get_linestyle()
