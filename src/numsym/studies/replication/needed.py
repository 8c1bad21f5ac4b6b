"""Which function each network needs, and whose a failure was: the network's, the map's, or the search's.

The criteria were fixed before the first run that they judge. A function *has* a variable if its mean IIA is at least
`HIGH`, and if it is `BESIDE` above what the same search reaches with permuted sources and on the untrained twin. (That
a failure is the network's where the whole site exchanged ends below `HIGH` too, was added when two transformers had
been read.)
"""

from collections.abc import Iterator, Sequence

from numsym.studies.replication.claims import (
    BADLY,
    FAILS,
    FUNCTIONS,
    HIGH,
    RESCUED,
    UNCHANGED,
    Cell,
    Claimed,
    Judged,
    decided,
)
from numsym.studies.replication.former import FORMER

BESIDE = UNCHANGED
"""How much above its own controls a function must be."""

FOUND = 0.99
"""IIA from which a search is said to have found what is there."""

CONDITIONAL, RANDOM = "conditional", "random"
RICHER = {"orthogonal": "rotation", "linear": "LAF", CONDITIONAL: "conditional"}
"""The functions, each able to make more exchanges than the one before it; and what the page calls them."""

Key = tuple[str, str, str, str]
"""Network, task, program, variable."""


def by_variable(found: Sequence[Cell]) -> dict[Key, dict[str, Cell]]:
    """The cells of each variable by function, of networks and tasks in their order."""
    made: dict[Key, dict[str, Cell]] = {}
    for cell in found:
        made.setdefault((cell.network, cell.task, cell.program, cell.variable), {})[cell.function] = cell
    return made


def has(cell: Cell, least: float = HIGH) -> bool:
    """Whether a function has the variable."""
    beside = [cell.control(name) for name in ("permuted", "untrained")]
    return cell.iia.value >= least and all(cell.iia.value - value >= BESIDE for value in beside if value is not None)


def needed(cells: dict[str, Cell]) -> str:
    """The first function that has a variable, and its IIA; "none" if none has."""
    for function, name in RICHER.items():
        if function in cells and has(cells[function]):
            return f"{name} ({100 * cells[function].iia.value:.1f})"
    return "none"


def whose(key: Key, cells: dict[str, Cell]) -> str:
    """Whose the failures of the former searches were, by rotation and by LAF; "-" where there was none."""
    network, task, program, variable = key
    said = []
    for function, before in zip(FUNCTIONS, FORMER.get((network, task, program), {}).get(variable, ()), strict=False):
        if before >= 100 * HIGH or function not in cells:
            continue
        others = [one for one in RICHER if one != function and one in cells and has(cells[one])]
        why = "the search's" if has(cells[function]) else "the map's" if others else _nobody(cells[function])
        said.append(f"{RICHER[function]} {before:.1f} -> {100 * cells[function].iia.value:.1f}: {why}")
    return "; ".join(said) or "-"


def _nobody(cell: Cell) -> str:
    """Why no function has a variable: what the whole site does not do, no part of it can."""
    whole = cell.control("ceiling")
    return "no function has it" if whole is None or whole >= HIGH else f"the network's (whole site: {100 * whole:.1f})"


def rows(found: Sequence[Cell]) -> list[list[str]]:
    """Network, task, variable, the function that it needs, and whose former failures were."""
    return [
        [key[0], key[1], f"{key[3]} ({key[2]})", needed(cells), whose(key, cells)]
        for key, cells in by_variable(found).items()
    ]


def verdicts(found: Sequence[Cell]) -> list[Claimed]:
    """What the runs say to the claims that [N] does not make."""
    return [decided(claim, criterion, list(judge(found))) for claim, criterion, judge in CLAIMS]


def _recurrent(found: Sequence[Cell], variable: str = "count") -> Iterator[tuple[Key, dict[str, Cell]]]:
    for key, cells in by_variable(found).items():
        if "transformer" not in key[0] and key[2:] == ("up_down", variable):
            yield key, {name: cell for name, cell in cells.items() if name in RICHER}


def _held(found: Sequence[Cell]) -> Iterator[Judged]:
    for key, cells in _recurrent(found):
        if cells:
            best = max(cells.values(), key=lambda cell: (has(cell, FOUND), cell.iia.value))
            yield f"{key[0]}, {key[1]}, {RICHER[best.function]}", has(best, FOUND), best.iia.value


def _given(found: Sequence[Cell]) -> Iterator[Judged]:
    for key, cells in _recurrent(found):
        if key[1] == "same_object" and CONDITIONAL in cells:
            yield key[0], has(cells[CONDITIONAL]), cells[CONDITIONAL].iia.value


def _down(found: Sequence[Cell]) -> Iterator[Judged]:
    every = by_variable(found)
    for key, cells in _recurrent(found):
        up = every.get((*key[:2], "up_up", "demo_count"), {}).get(CONDITIONAL)
        if key[1] == "same_object" and CONDITIONAL in cells and up is not None:
            gap = cells[CONDITIONAL].iia.value - up.iia.value
            yield key[0], gap >= RESCUED, gap


def _untrained(found: Sequence[Cell]) -> Iterator[Judged]:
    for key, cells in _recurrent(found):
        for function, cell in cells.items():
            floor, twin = cell.control("floor"), cell.control("untrained")
            if floor is not None and twin is not None:
                yield f"{key[0]}, {key[1]}, {RICHER[function]}", twin - floor <= UNCHANGED, twin - floor


def _random(found: Sequence[Cell]) -> Iterator[Judged]:
    every = by_variable(found)
    for key, cells in _recurrent(found):
        best = max((cell.iia.value for cell in cells.values()), default=0.0)
        drawn = every[key].get(RANDOM)
        if drawn is not None and best >= HIGH:
            yield f"{key[0]}, {key[1]}", best - drawn.iia.value >= BADLY, best - drawn.iia.value


def _transformers(found: Sequence[Cell]) -> Iterator[Judged]:
    for key, cells in by_variable(found).items():
        mine = [cell for name, cell in cells.items() if name in RICHER]
        if "transformer" in key[0] and key[2] == "up_down" and key[3] in ("count", "full") and mine:
            best = max(mine, key=lambda cell: cell.iia.value)
            yield f"{key[0]}, {key[1]}, {key[3]}, {RICHER[best.function]}", best.iia.value <= FAILS, best.iia.value


_ABOVE = f"at least {100 * BESIDE:.0f} points above permuted sources and the untrained twin"

CLAIMS = (
    (
        "Every recurrent network holds Up-Down's count",
        f"the best function at least {FOUND:.0%}, and {_ABOVE}",
        _held,
    ),
    (
        "Same-Object networks hold the count by another code in each phase",
        f"linear given the phase: count at least {HIGH:.0%}, and {_ABOVE}",
        _given,
    ),
    (
        "Given the phase, Same-Object networks run Up-Down and not Up-Up",
        f"linear given the phase: Up-Down's count at least {RESCUED * 100:.0f} points above Up-Up's demo_count",
        _down,
    ),
    (
        "No function finds a count in untrained networks",
        f"recurrent networks, count, every function: untrained twin at most {UNCHANGED * 100:.0f} points above no "
        "exchange",
        _untrained,
    ),
    (
        "Random subspaces do badly",
        f"recurrent networks, count, where a map reaches {HIGH:.0%}: the best random subspace at least "
        f"{BADLY * 100:.0f} points lower",
        _random,
    ),
    (
        "Shallow transformers fail Up-Down under every function",
        f"count and full: the highest of rotation, LAF and conditional at most {FAILS:.0%}",
        _transformers,
    ),
)
"""Claim, criterion of a cell, and what judges the cells."""
