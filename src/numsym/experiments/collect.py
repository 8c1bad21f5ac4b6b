"""Gather run folders into one table: means, intervals and n over seeds, as parquet and as Markdown."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from numsym.lab import display
from numsym.lab.collection import Row, Table, collect, find
from numsym.lab.run import RunFolder
from numsym.shares import Mean
from numsym.storage import new_folder, write_text

FOLDER, RUNS, MEANS, MARKDOWN = "table", "runs.parquet", "means.parquet", "means.md"
SHARES = (
    "iia",
    "heldout_iia",
    "iia_of_changed",
    "free_running",
    "floor",
    "ceiling",
    "permuted",
    "untrained",
    "neurons",
    "trial_accuracy",
    "heldout_accuracy",
    "converged",
)


def run(config: Mapping[str, Any], folder: Path) -> Table:
    """Collect the runs below `runs`, and write `table/` to the run folder."""
    runs = config["runs"]
    found = find([runs] if isinstance(runs, str) else runs)
    table = collect(found, by=config["by"], allow_mixed=config["allow_mixed"])
    run_folder = RunFolder(folder, config)
    write(table, folder / FOLDER)
    lost = table.without_results
    run_folder.finish({"groups": len(table.means), "runs": len(found), "without_results": lost})
    display.console.print(f"{len(found)} runs, {len(lost)} of them without results   {folder / FOLDER}", soft_wrap=True)
    for row in lost:
        display.console.print(f"  {row['folder']}   {row['reason']}", soft_wrap=True, highlight=False, markup=False)
    return table


def write(table: Table, folder: Path) -> None:
    """Write a new folder with `runs.parquet`, `means.parquet` and `means.md`.

    In `means.parquet` a measure has four columns: itself (the mean), `_low`, `_high` and `_n`.

    Raises:
        RunFolderError: the folder exists.
    """
    with new_folder(folder) as temporary:
        to_parquet(table.runs, temporary / RUNS)
        to_parquet([_columns(row) for row in table.means], temporary / MEANS)
        write_text(temporary / MARKDOWN, markdown(table))


def to_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write rows with the same keys; a column whose values have no common type is text."""
    import pyarrow
    from pyarrow import parquet

    columns: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        try:
            columns[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
            columns[name] = pyarrow.array([None if value is None else str(value) for value in values])
    parquet.write_table(pyarrow.table(columns), path)


def _columns(row: Row) -> Row:
    made: Row = {}
    for name, value in row.items():
        if isinstance(value, Mean):
            made |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high, f"{name}_n": value.n}
        else:
            made[name] = value
    return made


def markdown(table: Table) -> str:
    """The means as a Markdown table, then what must be known with it: runs without results, and what differs."""
    parts = []
    if table.means:
        names = [name for name in table.means[0] if any(row[name] is not None for row in table.means)]
        lines = [[name.replace("_", " ") for name in names], ["---"] * len(names)]
        lines += [[cell(name, row[name], row["n"]) for name in names] for row in table.means]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
        parts.append("Means over n seeds with Student's 95 % t-interval; shares in percent.\n")
    for row in table.without_results:
        parts.append(f"- `{row['folder']}` {row['status']}: {row['reason'].replace(chr(10), ' ')}\n")
    if table.also:
        differing = ", ".join(f"`{name}` ({', '.join(map(str, values))})" for name, values in table.also.items())
        parts.append(f"Between the rows also differ: {differing}.\n")
    if table.mixed:
        parts.append(f"**Mixed on purpose**: {'; '.join(table.mixed)}.\n")
    return "\n".join(parts)


def cell(name: str, value: Any, n: int) -> str:
    """One value as a table shows it: a share, and its interval cut to 0..100, in percent; its n where it is not `n`."""
    if not isinstance(value, Mean):
        return "" if value is None else str(value)
    scale, low, high = 1.0, value.low, value.high
    if name in SHARES:
        scale, low, high = 100.0, max(0.0, low), min(1.0, high)
    interval = "" if isnan(value.low) else f" [{_written(scale * low)}, {_written(scale * high)}]"
    return f"{_written(scale * value.value)}{interval}{'' if value.n == n else f' ({value.n})'}"


def _written(number: float) -> str:
    """Three figures, but never powers of ten: 400, 1000, 0.0523."""
    return f"{number:.0f}" if abs(number) >= 999.5 else f"{number:.3g}"
