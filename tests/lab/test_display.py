import dataclasses

from rich.console import Console

from numsym.alignment import Share, align
from numsym.lab import display
from numsym.models import counting_gru
from numsym.tasks import MultiObject


def printed(table, width=80):
    console = Console(width=width, record=True, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_the_tables_fit_a_terminal_of_80_and_say_what_was_measured():
    task = MultiObject()
    result = align(counting_gru(task.vocabulary), task, max_steps=2, train_pairs=200, controls=("floor", "permuted"))
    full = Share(1.0, 0.996, 1.0, 1000)
    result = dataclasses.replace(result, test=dataclasses.replace(result.test, iia=full), alignment="orthogonal")
    text = printed(display.results_table([result]))
    assert "100.0 [99.6, 100.0]" in text
    assert "…" not in text
    row = text.splitlines()[-1].split()
    assert row[:3] == ["orthogonal", "count", "4"]
    assert row[-2:] == [f"{100 * result.floor:.1f}", "-"]
    row = printed(display.controls_table([result])).splitlines()[-1].split()
    assert row[3:6] == [f"{100 * result.controls['permuted'].value:.1f}", "-", "-"]
    assert row[6:] == ["2", "no", f"{result.tokens_off:.2f}"]


def test_the_meaning_fits_too():
    for text in (display.MEANING, display.CONTROLS_MEANING, display.SWITCHED_OFF):
        assert all(len(line) <= 80 for line in text.splitlines())
