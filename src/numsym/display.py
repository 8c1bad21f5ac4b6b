"""What a run shows: a progress line while it works, a table at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from numsym.alignment import AlignmentResult, Share

console = Console()

MEANING = """\
IIA: the share of trials in which every predictable token after the exchange is
the one the program says (teacher-forced), on pairs that were not trained on.
floor: no exchange. ceiling: the whole state exchanged, all variables with it."""

CONTROLS_MEANING = """\
What a map reaches by itself: permuted, the same search with sources that tell
nothing; untrained, the same search on fresh weights; neurons, k single ones.
off: tokens too many or too few, on average, when the model runs on by itself."""

SWITCHED_OFF = """\
The controls were switched off: a dash was not measured.
off: tokens too many or too few, on average, when the model runs on by itself."""

CONTROLS = ("permuted", "untrained", "neurons")


class Stage:
    """One line of progress."""

    def __init__(self, progress: Progress, task: Any):
        self._progress, self._task = progress, task

    def to(self, step: int, **numbers: float) -> None:
        """Advance to a step, showing some numbers."""
        text = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        self._progress.update(self._task, completed=step, numbers=text)


@contextmanager
def stage(title: str, steps: int) -> Iterator[Stage]:
    """A line that shows how far a stage of `steps` steps is, and stays when it is done."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[numbers]}"), console=console) as progress:
        yield Stage(progress, progress.add_task(title, total=steps, numbers=""))


def share(value: Share | None) -> str:
    """A share in percent with its interval, or a dash where it was not measured."""
    if value is None:
        return "-"
    return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def percent(value: Share | None) -> str:
    """A share in percent, or a dash where it was not measured."""
    return "-" if value is None else f"{100 * value.value:.1f}"


def show(results: Sequence[AlignmentResult]) -> None:
    """Both tables, and what they mean."""
    ran = any(name in result.controls for result in results for name in CONTROLS)
    for table, meaning in ((results_table, MEANING), (controls_table, CONTROLS_MEANING if ran else SWITCHED_OFF)):
        console.print()
        console.print(table(results))
        console.print(meaning, style="dim", highlight=False)
    console.print()


def results_table(results: Sequence[AlignmentResult]) -> Table:
    """One row an alignment: function, variable, k, IIA, held-out IIA, floor, ceiling; shares in percent."""
    table = _table(f"{results[0].task}: IIA in percent, with 95 % intervals")
    for heading in ("IIA", "held-out IIA", "floor", "ceiling"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        measured = [share(result.test.iia), share(None if result.held_out is None else result.held_out.iia)]
        table.add_row(*_what(result), *measured, *(percent(result.controls.get(c)) for c in ("floor", "ceiling")))
    return table


def controls_table(results: Sequence[AlignmentResult]) -> Table:
    """One row an alignment: what the same search makes of the same map where there is nothing to find."""
    table = _table("controls")
    for heading in (*CONTROLS, "steps", "converged", "off"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        shares = [percent(result.controls.get(name)) for name in CONTROLS]
        off = "-" if result.tokens_off is None else f"{result.tokens_off:.2f}"
        table.add_row(*_what(result), *shares, str(result.steps), "yes" if result.converged else "no", off)
    return table


def _table(title: str) -> Table:
    # No frame: seven columns with intervals fit a terminal of 80.
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("function", "variable", "k"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "k" else "left")
    return table


def _what(result: AlignmentResult) -> tuple[str, str, str]:
    return result.alignment, ", ".join(result.variables), str(result.subspace_dim)
