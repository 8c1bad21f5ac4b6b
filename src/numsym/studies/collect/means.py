"""Which runs stand in one mean, what differs between them, and the means."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numsym.errors import InvalidArgumentError, check_name
from numsym.shares import Mean
from numsym.studies.collect.folders import SEED, Run
from numsym.studies.collect.table import Table

Row = dict[str, Any]


def gathered(runs: Sequence[Run], *, by: Sequence[str] | None = None, allow_mixed: bool = False) -> Table:
    """Runs as one table.

    Args:
        runs: as `find` gives them.
        by: dotted names of the configuration; runs with the same values are one group, whose mean is over seeds. By
            default whatever differs tells runs apart, so that no mean is over different configurations.
        allow_mixed: go on where runs of one group differ in more than the seed, where a group has a seed twice, or
            where runs were made with different versions; the table then says so.

    Raises:
        UnknownNameError: `by` names what no configuration has.
        InvalidArgumentError: runs are mixed that must not be; the message names what differs.
    """
    differing = differences(runs)
    for name in by or ():
        check_name("entry in by", name, {key for run in runs for key in run.config})
    key = tuple(by) if by is not None else _telling(runs, differing)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(repr([run.config.get(name) for name in key]), []).append(run)
    mixed = _mixed([[run for run in members if run.status == "finished"] for members in groups.values()])
    if mixed and not allow_mixed:
        raise InvalidArgumentError(
            f"runs are mixed, which is not allowed: {'; '.join(mixed)}. Give other folders, name what differs in "
            "by=[...], or set allow_mixed=true"
        )
    shown = {name: values for name, values in differing.items() if name not in key}
    rows, means = [], []
    for members in groups.values():
        found: dict[Any, list[Row]] = {}
        for run in members:
            what = {"folder": str(run.folder), "status": run.status, "reason": run.reason, SEED: run.config.get(SEED)}
            what |= {name: run.config.get(name) for name in (*key, *shown)}
            measured = run.rows() if run.status == "finished" else [{}]
            rows += [{**what, **row} for row in measured]
            for row in measured if run.status == "finished" else ():
                found.setdefault(row.get("recipe"), []).append(row)
        head = {name: members[0].config.get(name) for name in key}
        means += [{**head, **_mean(same), "n": len(same)} for same in found.values()]
    return Table(key, _completed(rows), _completed(means), shown, mixed)


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Which entries of the configurations differ, the seed apart: name -> its values; `None` where it is missing."""
    names = {name: None for run in runs for name in run.config if name != SEED}
    values = {name: list({repr(run.config.get(name)): run.config.get(name) for run in runs}.values()) for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def _telling(runs: Sequence[Run], differing: Mapping[str, Any]) -> tuple[str, ...]:
    """Few names, the least nested first, by which all different configurations can be told apart."""
    chosen: list[str] = []

    def groups(names: Iterable[str]) -> int:
        names = list(names)
        return len({repr([run.config.get(name) for name in names]) for run in runs})

    everything = groups(differing)
    for name in sorted(differing, key=lambda name: (name.count("."), len(name), name)):
        if groups(chosen) == everything:
            break
        if groups([*chosen, name]) > groups(chosen):
            chosen.append(name)
    return tuple(chosen)


def _mixed(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Every way in which what must be alike is not."""
    found: dict[str, None] = {}
    runs = [run for members in groups for run in members]
    for name in sorted({name for run in runs for name in run.versions}):
        versions = sorted({run.versions.get(name, "unknown") for run in runs})
        if len(versions) > 1:
            found[f"versions of {name} are {', '.join(versions)}"] = None
    for members in groups:
        differing = differences(members)
        for name, values in differing.items():
            found[f"{name} is {', '.join(map(repr, values))}"] = None
        for name in ("threads", "processor", "blas"):
            known = sorted({str(run.machine[name]) for run in members if name in run.machine})
            if len(known) > 1:
                found[f"{name} are {', '.join(known)} in one mean"] = None
        seeds: dict[Any, Path] = {}
        for run in members:
            seed = run.config.get(SEED)
            if seed in seeds and not differing:
                found[f"seed {seed} of one configuration is in {seeds[seed]} and in {run.folder}"] = None
            seeds[seed] = run.folder
    return list(found)


def _mean(rows: Sequence[Row]) -> Row:
    """Words and k as they are, and a mean of each measure over the rows that have it."""
    made: Row = {}
    for name in {name: None for row in rows for name in row}:
        values = [row[name] for row in rows if row.get(name) is not None]
        if name == "k" or any(isinstance(value, str) for value in values):
            made[name] = values[0]
        else:
            made[name] = Mean.of([float(value) for value in values]) if values else None
    return made


def _completed(rows: list[Row]) -> list[Row]:
    """With the same keys in every row."""
    names = list({name: None for row in rows for name in row})
    return [row if list(row) == names else {name: row.get(name) for name in names} for row in rows]
