import dataclasses

from rich.console import Console

from numsym.alignment import Share, align
from numsym.lab import display
from numsym.models import counting_gru
from numsym.studies.align import NOTES, Alignments
from numsym.tasks import MultiObject


def printed(table, width=80):
    console = Console(width=width, record=True, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_the_tables_of_the_main_job_fit_a_terminal_of_80_and_say_what_was_measured():
    task = MultiObject()
    result = align(
        counting_gru(task.vocabulary),
        task,
        search={"max_steps": 2},
        pairs={"train": 200},
        controls=("floor", "permuted"),
    )
    full = Share(1.0, 0.996, 1.0, 1000)
    result = dataclasses.replace(result, test=dataclasses.replace(result.test, iia=full), alignment="orthogonal")
    first, second = (printed(display.table(*entry)) for entry in Alignments({"das": result}).tables().items())
    assert "100.0 [99.6, 100.0]" in first
    assert "…" not in first + second
    row = first.splitlines()[-1].split()
    assert row[:2] == ["orthogonal", "count"]
    assert row[-2:] == [f"{100 * result.floor:.1f}", "-"]
    row = second.splitlines()[-1].split()
    assert row[:3] == ["orthogonal", "count", "4"]
    assert row[3:6] == [f"{100 * result.controls['permuted'].value:.1f}", "-", "-"]
    assert all(len(line) <= 80 for line in NOTES.splitlines())


def test_a_wide_table_is_parted_rather_than_cut_off():
    rows = [
        {"hypothesis": f"up_down.{i}", **{f"measure {j}": Share.of_counts(i, 10) for j in range(6)}} for i in (1, 2)
    ]
    parts = display.fitting(rows, 80)
    assert [list(part[0]) for part in parts] == [
        ["hypothesis", "measure 0", "measure 1", "measure 2"], ["hypothesis", "measure 3", "measure 4", "measure 5"],
    ]  # fmt: skip
    shown = "".join(printed(display.table("", part)) for part in parts)
    assert "…" not in shown
    assert shown.count("up_down.2") == 2
    assert display.fitting(rows, 200) == [rows]
    assert printed(display.table("", rows)).count("…") > 0


def test_words_stand_left_and_numbers_right():
    text = printed(display.table("t", [{"name": "a", "k": 2}, {"name": "long", "k": 100}]))
    assert text.splitlines()[-2:] == ["a       2", "long  100"]


def test_a_figure_is_written_whole_and_closed(tmp_path):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    display.write(figure, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert not plt.fignum_exists(figure.number)


def test_a_picture_says_what_it_is_of(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    display.write(figure, tmp_path / "a.png", "graded, same_object")
    assert [text.get_text() for text in figure.texts] == ["graded, same_object"]
    plain = Figure()
    display.write(plain, tmp_path / "b.png")
    assert plain.texts == []
