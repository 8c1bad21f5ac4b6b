"""Many run folders as one table: what each run was, what it found or why it did not, and means over seeds.

A mean is over runs that differ in nothing but their seed. Whatever else differs between the runs of one mean, or
between the versions of the packages that made any two of them, is an error that names it, unless it is allowed.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Any, ClassVar

import yaml

from numsym.errors import InvalidArgumentError, check_name
from numsym.results import Result, flat, number, read_result, rebuilt
from numsym.run import NO_RUN, NoRun
from numsym.shares import Mean
from numsym.storage import read_json, write_text
from numsym.studies.catalog import study

CONFIG, RESULTS, FAILURE, VERSIONS = "config.yaml", "results.json", "failure.json", "versions.json"
STARTED, SEED = "started.json", "seed"
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
        machine: threads, processor and BLAS; empty where the folder does not say.
    """

    folder: Path
    status: str
    reason: str = ""
    config: Row = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a folder that a run or a sweep made; a file that cannot be read is the reason why it has no results."""
        failure = read_json(folder / FAILURE) if (folder / FAILURE).exists() else None
        config = failure["config"] if failure else {}
        if (folder / CONFIG).exists():
            config = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), Loader=LOADER)
        known = read_json(folder / VERSIONS) if (folder / VERSIONS).exists() else {}
        flat = flattened({name: value for name, value in config.items() if name not in NOT_COMPARED[1:]})
        if (folder / RESULTS).exists():
            try:
                machine = dict(read_json(folder / STARTED)).get("machine", {}) if (folder / STARTED).exists() else {}
                return cls(folder, "finished", "", flat, known, dict(read_json(folder / RESULTS)), machine)
            except (ValueError, TypeError) as error:
                return cls(folder, "unreadable", f"{RESULTS} cannot be read: {error}", flat, known)
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
            if CONFIG in files or FAILURE in files or {RESULTS, VERSIONS} <= set(files):
                folders.add(Path(path))
                inside.clear()
            inside[:] = [name for name in inside if not name.startswith(".")]
    if not folders:
        raise InvalidArgumentError(f"runs={[str(root) for root in paths]} hold no run folder: run some first")
    read = [_with_config(Run.read(folder)) for folder in sorted(folders)]
    return [run for run in read if "experiment.runs" not in run.config]


def _with_config(run: Run) -> Run:
    """A run as it is; without its configuration, which a run of the library has not, it stands in no mean."""
    if run.status != "finished" or run.config:
        return run
    return replace(run, status="unreadable", reason=f"no {CONFIG}: what was asked is not known", results={})


@dataclass(frozen=True, repr=False)
class Table(Result):
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

    name: ClassVar[str] = "collect"

    @property
    def title(self) -> str:
        """How many runs, and how many of them have no results."""
        runs = len({row["folder"] for row in self.runs})
        return f"{runs} runs, {len(self.without_results)} of them without results"

    def rows(self) -> list[Row]:
        """The means."""
        return self.means

    def tables(self) -> dict[str, list[Row]]:
        """What has no results; the means are in the files, where there is room for them."""
        keys = ("folder", "status", "reason")
        return {self.title: [{key: row[key] for key in keys} for row in self.without_results]}

    def write(self, folder: Path) -> None:
        """Write `runs.parquet`, `means.parquet` and `means.md` beside the result.

        In `means.parquet` a measure has four columns: itself (the mean), `_low`, `_high` and `_n`.
        """
        super().write(folder)
        to_parquet(self.runs, folder / "runs.parquet")
        to_parquet([flat(row) for row in self.means], folder / "means.parquet")
        write_text(folder / "means.md", markdown(self))

    @classmethod
    def load(cls, path: str | os.PathLike, model: Any = None) -> "Table":
        """Read what `save` wrote."""
        read = read_result(path, cls.__name__)
        means = [{k: rebuilt(Mean, v) if isinstance(v, dict) else v for k, v in row.items()} for row in read["means"]]
        return cls(tuple(read["by"]), read["runs"], means, read["also"], read["mixed"])


@study
def collect(
    *, runs: tuple[str, ...], by: tuple[str, ...] | None = None, allow_mixed: bool = False, run: NoRun = NO_RUN
) -> Table:
    """Gather run folders into one table: means, intervals and n over seeds, as parquet and as Markdown.

    Args:
        runs: folders at or below which the runs lie.
        by: see `gathered` for this and the next.
        allow_mixed: whether different configurations or versions may stand in one mean.
        run: where the table is kept and shown.
    """
    found = gathered(find(runs), by=by, allow_mixed=allow_mixed)
    return run.show(run.keep("table", lambda: found, Table.load))


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
    interval = "" if isnan(value.low) else f" [{number(scale * low)}, {number(scale * high)}]"
    return f"{number(scale * value.value)}{interval}{'' if value.n == n else f' ({value.n})'}"
