"""What a run shows: a progress line while it works, tables at the end, figures as files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from numsym.results import Result, formatted
from numsym.run import Stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

console = Console()

# No frame: seven columns with intervals fit a terminal of 80.
PLAIN: Any = {"title_justify": "left", "title_style": "bold", "box": None, "pad_edge": False}


class Line(Stage):
    """One line of progress."""

    def __init__(self, progress: Progress, task: Any):
        self._progress, self._task = progress, task

    def to(self, step: int, **numbers: float) -> None:
        """Advance to a step, showing some numbers."""
        text = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        self._progress.update(self._task, completed=step, numbers=text)


@contextmanager
def stage(title: str, steps: int, *, quiet: bool = False) -> Iterator[Stage]:
    """A line that shows how far a stage of `steps` steps is, and stays when it is done."""
    if quiet:
        yield Stage()
        return
    columns = (TextColumn("{task.description:<12}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[numbers]}"), console=console) as progress:
        yield Line(progress, progress.add_task(title, total=steps, numbers=""))


def show(result: Result) -> None:
    """A result's tables, and what they mean."""
    for title, rows in result.tables().items():
        if rows:
            console.print()
            for i, part in enumerate(fitting(rows, console.width)):
                console.print(table("" if i else title, part))
    if result.notes:
        console.print(result.notes, style="dim", highlight=False)
    console.print()


def fitting(rows: Sequence[Mapping[str, Any]], width: int) -> list[list[dict[str, Any]]]:
    """Rows as parts that are at most so wide, the first column in each: a number that is cut off says nothing."""
    first, *others = rows[0]
    widths = {
        key: 2 + (0 if key == "why" else max(len(key), *(len(formatted(row[key])) for row in rows))) for key in rows[0]
    }
    parts: list[list[str]] = [[]]
    for key in others:
        if parts[-1] and sum(widths[one] for one in (first, *parts[-1], key)) > width + 2:
            parts.append([])
        parts[-1].append(key)
    return [[{key: row[key] for key in (first, *keys)} for row in rows] for keys in parts]


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows with the same keys as they are shown; words to the left, numbers to the right."""
    made = Table(title=title or None, **PLAIN)
    for heading in rows[0]:
        words = any(isinstance(row[heading], str) and any(map(str.isalpha, row[heading])) for row in rows)
        made.add_column(heading, justify="left" if words else "right", no_wrap=heading != "why")
    for row in rows:
        made.add_row(*(formatted(value) for value in row.values()))
    return made


def write(figure: "Figure", path: Path, heading: str = "") -> Path:
    """Save as PNG in one step, and close the figure.

    Args:
        figure: of matplotlib.
        path: of the file.
        heading: a line above the whole picture, for those that do not say what they are of.
    """
    import matplotlib.pyplot as plt

    if heading:
        figure.text(0.01, 1.02, heading, transform=figure.transFigure, fontsize=8, color="#57606a", va="bottom")
    temporary = path.with_name(f".{path.name}.part")
    figure.savefig(temporary, format="png", bbox_inches="tight")
    plt.close(figure)
    temporary.replace(path)
    return path
