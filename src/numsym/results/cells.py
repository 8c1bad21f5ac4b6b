"""Rows as people read them: cells, columns, and Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from numsym.shares import Difference, Mean, Share

Row = dict[str, Any]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[formatted(value).replace("|", "\\|").replace("\n", " ") for value in row.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def flat(row: Mapping[str, Any]) -> Row:
    """A row with the ends of its intervals as columns of their own."""
    made: Row = {}
    for name, value in row.items():
        if isinstance(value, Share | Mean | Difference):
            made |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high, f"{name}_n": value.n}
        else:
            made[name] = value
    return made


def formatted(value: Any) -> str:
    """A cell as people read it: shares in percent with their intervals, numbers to three digits, a dash for nothing."""
    if isinstance(value, Share | Difference):
        return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]" if value.n else "-"
    if isinstance(value, Mean):
        return number(value.value) + ("" if value.n < 2 else f" [{number(value.low)}, {number(value.high)}]")
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def brief(value: Share | None) -> str:
    """A share in percent without its interval, where many stand side by side."""
    return "-" if value is None else f"{100 * value.value:.1f}"


def number(value: float) -> str:
    """Three figures, but never powers of ten: 400, 1000, 0.0523."""
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Rows of text as lines with a heading, in columns."""
    if not rows:
        return ["(no rows)"]
    columns = [[name, *(row[name] for row in rows)] for name in rows[0]]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(
        *([cell.ljust(width) for cell in column] for column, width in zip(columns, widths, strict=True)), strict=True
    )
    return ["  ".join(line).rstrip() for line in lines]
