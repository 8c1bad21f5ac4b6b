"""The table of many runs as parquet and as Markdown."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numsym.results import number
from numsym.shares import Mean

if TYPE_CHECKING:
    from numsym.studies.collect.table import Table

Row = dict[str, Any]

SHARES = (
    "iia", "heldout_iia", "iia_of_changed", "free_running", "floor", "ceiling", "permuted", "untrained", "neurons",
    "trial_accuracy", "heldout_accuracy", "converged",
)  # fmt: skip
"""Measures that Markdown shows in percent."""


def to_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write rows with the same keys; a column whose values have no common type is text."""
    import pandas

    frame = pandas.DataFrame(rows)
    for name in frame.columns:
        kinds = {type(value) for value in frame[name] if value is not None and value == value}
        if len(kinds) > 1 and not kinds <= {int, float, bool}:
            frame[name] = [None if value is None else str(value) for value in frame[name]]
    frame.to_parquet(path)


def markdown(table: "Table") -> str:
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
    interval = "" if isnan(value.low) else f" [{number(scale * low)}, {number(scale * high)}]"
    return f"{number(scale * value.value)}{interval}{'' if value.n == n else f' ({value.n})'}"
