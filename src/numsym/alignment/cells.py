"""Pairs by what a program's variables are at base and source: IIA of each cell, and examples from many of them."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.alignment.pairs import Pairs
from numsym.programs import Program
from numsym.shares import Share, shares_by

Crossed = dict[tuple[str, str], Share]
"""IIA by a variable's value at the base and at the source, each in words."""

FEW = 6
"""So many values of a variable have a row each; more are gathered in as many ranges as `RANGES`."""

RANGES = 4


def crossed(right: Bool[Tensor, "batch"], pairs: Pairs, program: Program) -> dict[str, Crossed]:
    """IIA by the value of each variable at base and source, those that are not exchanged first."""
    exchanged = {name for one in pairs.variables for name in program.block(one)}
    found = {}
    for name in sorted(program.variables, key=lambda one: one in exchanged):
        base, source = pairs.base_state[name].cpu(), pairs.source_state[name].cpu()
        words, base, source = _in_ranges(program, name, base, source)
        if len(words) > 1:
            cells = shares_by(right, base * len(words) + source)
            found[name] = {(words[c // len(words)], words[c % len(words)]): share for c, share in cells.items()}
    return found


def grid(cells: Crossed) -> list[dict[str, Any]]:
    """A row a value at the base, a column a value at the source."""
    bases, sources = (list(dict.fromkeys(cell[i] for cell in cells)) for i in (0, 1))
    return [{"base": base, **{source: cells.get((base, source)) for source in sources}} for base in bases]


def _in_ranges(
    program: Program, name: str, base: Int[Tensor, "batch"], source: Int[Tensor, "batch"]
) -> tuple[list[str], Int[Tensor, "batch"], Int[Tensor, "batch"]]:
    """The values of a variable in words, several together where there are many, and which of them each pair has."""
    both = torch.cat([base, source])
    values = both.unique()
    if len(values) <= FEW:
        words, index = [program.word(name, int(value)) for value in values], torch.searchsorted(values, both)
    else:
        ends = both.double().quantile(torch.linspace(0, 1, RANGES + 1, dtype=torch.float64)[1:-1]).floor().unique()
        index = torch.searchsorted(ends, both.double())
        parts = [both[index == i] for i in index.unique()]
        words = [" to ".join(dict.fromkeys(program.word(name, int(v)) for v in (p.min(), p.max()))) for p in parts]
        index = torch.searchsorted(index.unique(), index)
    return words, index[: len(base)], index[len(base) :]


def picked(right: Bool[Tensor, "batch"], pairs: Pairs, program: Program, n: int) -> Int[Tensor, "n"]:
    """The rows of examples: two thirds wrong, where there are so many, each from another cell; the others right."""
    first = next((name for name in program.variables if name not in pairs.variables), program.variables[0])
    cell = pairs.base_state[first] * 1000 + pairs.source_state[first] + 1_000_000 * pairs.block
    wrong, fine = (_spread(cell.cpu(), rows) for rows in (~right, right))
    bad = min(len(wrong), max(n - len(fine), round(2 * n / 3)))
    return torch.tensor([*wrong[:bad], *fine[: n - bad]], dtype=torch.long)


def _spread(cell: Int[Tensor, "batch"], rows: Bool[Tensor, "batch"]) -> list[int]:
    """Some rows, one of each cell in turn, the most frequent cell first."""
    by_cell: dict[int, list[int]] = {}
    for row in rows.nonzero()[:, 0].tolist():
        by_cell.setdefault(int(cell[row]), []).append(row)
    ranked = [(place, -len(members), row) for members in by_cell.values() for place, row in enumerate(members)]
    return [row for *_, row in sorted(ranked)]
