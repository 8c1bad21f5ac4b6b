import torch

from numsym.plots.fourier import over_training, spectrum_and_kappa
from numsym.probes import residue, spectrum


def test_the_two_panels_show_the_given_numbers():
    systems = {"one": torch.randn(60, 4), "two": torch.randn(60, 4)}
    probes = {name: residue(rows, (2, 3), 5) for name, rows in systems.items()}
    figure = spectrum_and_kappa({name: spectrum(rows) for name, rows in systems.items()}, probes, title="both")
    left, right = figure.axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in left.get_xticklabels()] == ["1/10", "1/5", "3/10", "2/5", "1/2"]
    shown = [text.get_text() for text in right.texts]
    assert shown == [str(round(probes[name].kappa[T])) for name in systems for T in (2, 3)]
    assert [label.get_text() for label in right.get_xticklabels()] == ["2", "3"]
    assert left.images[0].get_array().shape == (2, 30)


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
