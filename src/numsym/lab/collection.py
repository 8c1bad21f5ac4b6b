"""Many run folders as one table: what each run was, what it found or why it did not, and means over seeds.

A mean is over runs that differ in nothing but their seed. Whatever else differs between the runs of one mean, or
between the versions of the packages that made any two of them, is an error that names it, unless it is allowed.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from numsym.errors import InvalidArgumentError, check_name
from numsym.lab.run import CONFIG, FAILURE, RESULTS, VERSIONS
from numsym.shares import Mean
from numsym.storage import read_json

SEED = "seed"
NOT_COMPARED = (SEED, "folder", "wandb")
"""Parts of a configuration that the numbers of a run do not depend on, and the seed."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        folder: where.
        status: "finished", "failed" or "unfinished".
        reason: why there are no results; empty for a finished run.
        config: the configuration by dotted name ("search.max_steps"), lists and empty mappings as they are.
        versions: of the packages, by name; empty where the folder does not say.
        results: what `results.json` holds; empty if there is none.
    """

    folder: Path
    status: str
    reason: str = ""
    config: Row = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a folder that `RunFolder` or a sweep made."""
        failure = read_json(folder / FAILURE) if (folder / FAILURE).exists() else None
        config = failure["config"] if failure else {}
        if (folder / CONFIG).exists():
            config = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), Loader=LOADER)
        known = read_json(folder / VERSIONS) if (folder / VERSIONS).exists() else {}
        flat = flattened({name: value for name, value in config.items() if name not in NOT_COMPARED[1:]})
        if (folder / RESULTS).exists():
            return cls(folder, "finished", "", flat, known, read_json(folder / RESULTS))
        if failure:
            return cls(folder, "failed", f"{failure['error']}: {failure['message']}", flat, known)
        return cls(folder, "unfinished", f"no {RESULTS}: it is still running, or was stopped", flat, known)

    def rows(self) -> list[Row]:
        """What was measured: a row an alignment, or one row of all plain numbers where there are no alignments."""
        training = self.results.get("training", {})
        evaluation, log = training.get("evaluation", {}), training.get("log", {})
        trained = {
            "trial_accuracy": evaluation.get("accuracy"),
            "heldout_accuracy": evaluation.get("held_out"),
            "training_steps": log.get("steps"),
        }
        if "alignments" in self.results:
            return [{"recipe": name, **_aligned(a), **trained} for name, a in self.results["alignments"].items()]
        return [{name: value for name, value in flattened(self.results).items() if _is_number(value)}]


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is some ten times faster."""


def find(roots: Iterable[str | os.PathLike]) -> list[Run]:
    """All run folders at or below `roots`, by path, but those of experiments that read other runs (such as this one).

    Raises:
        InvalidArgumentError: a root is not there, or none of them holds a run.
    """
    paths, folders = [Path(root) for root in roots], set()
    for root in paths:
        if not root.is_dir():
            raise InvalidArgumentError(f"runs={str(root)!r} is not allowed: there is no such folder")
        for path, inside, files in os.walk(root):
            if CONFIG in files or FAILURE in files:
                folders.add(Path(path))
                inside.clear()
            inside[:] = [name for name in inside if not name.startswith(".")]
    if not folders:
        raise InvalidArgumentError(f"runs={[str(root) for root in paths]} hold no run folder: run some first")
    read = [Run.read(folder) for folder in sorted(folders)]
    return [run for run in read if "runs" not in run.config]


@dataclass(frozen=True)
class Table:
    """Runs, and means over their seeds.

    Attributes:
        by: the names of the configuration that tell the rows of `means` apart.
        runs: a row an alignment of a finished run, and a row a run without results: `folder`, `status`, `reason`, the
            seed and what differs between the configurations, and what was measured.
        means: a row a group and recipe; each measure is a `Mean` over seeds, and `n` says how many runs there are.
        also: what else differs between groups (each a function of `by`): name -> values.
        mixed: what differs although it was not named, where that was allowed.
    """

    by: tuple[str, ...]
    runs: list[Row]
    means: list[Row]
    also: dict[str, list[Any]]
    mixed: list[str]

    @property
    def without_results(self) -> list[Row]:
        """The rows of failed and unfinished runs."""
        return [row for row in self.runs if row["status"] != "finished"]


def collect(runs: Sequence[Run], *, by: Sequence[str] | None = None, allow_mixed: bool = False) -> Table:
    """Gather runs into one table.

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


def flattened(config: Mapping[str, Any], prefix: str = "") -> Row:
    """Nested mappings as one, by dotted names."""
    flat: Row = {}
    for name, value in config.items():
        inner = isinstance(value, Mapping) and value
        flat |= flattened(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


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
        seeds: dict[Any, Path] = {}
        for run in members:
            seed = run.config.get(SEED)
            if seed in seeds and not differing:
                found[f"seed {seed} of one configuration is in {seeds[seed]} and in {run.folder}"] = None
            seeds[seed] = run.folder
    return list(found)


def _aligned(plain: Mapping[str, Any]) -> Row:
    """One alignment of `results.json` as a row."""
    share = {"iia": plain["test"], "heldout_iia": plain["held_out"]}
    return {
        "program": plain["program"],
        "variable": ", ".join(plain["variables"]),
        "function": plain["alignment"],
        "k": plain["subspace_dim"],
        **{name: None if value is None else value["iia"]["value"] for name, value in share.items()},
        "iia_of_changed": (plain["test"].get("changed") or {}).get("value"),
        "free_running": plain["free_running"] and plain["free_running"]["value"],
        "tokens_off": plain["tokens_off"],
        **{name: value["value"] for name, value in plain["controls"].items()},
        "steps": plain["steps"],
        "converged": plain["converged"],
    }


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
    return [{name: row.get(name) for name in names} for row in rows]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
