"""What a run shows: a progress line while it works, a table at the end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from numsym.alignment import AlignmentResult, Comparison, Difference, Share
from numsym.alignment.verdicts import MINDED

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

COMPARED = """\
All on the same trials and positions; only the counterfactual differs.
above: surely above its floor, permuted and untrained controls.
A program is scored by its worst variable; "full" does not count, since programs
often agree on what follows when everything is exchanged.
apart: pairs on which the best program's worst variable and this one differ;
difference: of their IIAs on all pairs, and on those."""

CONTROLS = ("permuted", "untrained", "neurons")

# No frame: seven columns with intervals fit a terminal of 80.
PLAIN: Any = {"title_justify": "left", "title_style": "bold", "box": None, "pad_edge": False}


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


def share(value: Share | None, digits: int = 1) -> str:
    """A share in percent with its interval, or a dash where it was not measured."""
    if value is None:
        return "-"
    return f"{100 * value.value:.{digits}f} [{100 * value.low:.{digits}f}, {100 * value.high:.{digits}f}]"


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


def show_comparison(found: Comparison) -> None:
    """The hypotheses, the programs, and the answer."""
    for table in (hypotheses_table(found), verdicts_table(found)):
        console.print()
        console.print(table)
    console.print(COMPARED, style="dim", highlight=False)
    console.print()
    for one in found.verdicts:
        console.print(f"[bold]{one.program}[/] {one.verdict}: {one.why}", highlight=False)
    console.print()


def hypotheses_table(found: Comparison) -> Table:
    """One row a hypothesis: IIA, held-out IIA, its controls, and whether it is above them."""
    table = Table(title=f"{found.task}: IIA in percent, with 95 % intervals", **PLAIN)
    table.add_column("hypothesis", no_wrap=True)
    for heading in ("IIA", "held-out", *MINDED, "above"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.hypotheses:
        above = "-" if one.above_controls is None else "yes" if one.above_controls else "no"
        controls = [percent(one.controls.get(name)) for name in MINDED]
        table.add_row(one.name, share(one.iia, 0), percent(one.held_out), *controls, above)
    return table


def verdicts_table(found: Comparison) -> Table:
    """One row a program, from the best to the worst: its worst variable, and that against the best program's."""
    table = Table(title="programs", **PLAIN)
    for heading in ("program", "worst", "IIA", "apart", "difference", "where apart", "verdict"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("program", "worst") else "right")
    for one in found.verdicts:
        seen = one.contrast
        apart = "" if seen is None else f"{100 * seen.told_apart:.0f} %"
        differences = ["", ""] if seen is None else [difference(d) for d in (seen.difference, seen.difference_apart)]
        table.add_row(one.program, one.worst, percent(one.iia), apart, *differences, one.verdict)
    return table


def difference(value: Difference | None) -> str:
    """A difference of shares in percent with its interval, or a dash where there were no pairs."""
    if value is None:
        return "-"
    return f"{100 * value.value:.0f} [{100 * value.low:.0f}, {100 * value.high:.0f}]"


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


def show_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of any rows with the same keys; shares in percent with their intervals, numbers to three digits."""
    table = Table(title=title, **PLAIN)
    for heading, value in rows[0].items():
        table.add_column(heading, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console.print()
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, Share):
        return share(value, 0)
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(title: str) -> Table:
    table = Table(title=title, **PLAIN)
    for heading in ("function", "variable", "k"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "k" else "left")
    return table


def _what(result: AlignmentResult) -> tuple[str, str, str]:
    return result.alignment, ", ".join(result.variables), str(result.subspace_dim)
