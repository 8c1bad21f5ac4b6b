"""Run folders as they are found and read."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from numsym.errors import InvalidArgumentError
from numsym.storage import is_broken, read_json

CONFIG, RESULTS, FAILURE, VERSIONS = "config.yaml", "results.json", "failure.json", "versions.json"
STARTED, SEED = "started.json", "seed"
NOT_COMPARED = (SEED, "folder", "wandb")
"""Parts of a configuration that the numbers of a run do not depend on, and the seed."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is some ten times faster."""

ENTRY = re.compile(r"^(?=[^\s\-#])", re.MULTILINE)
"""Where an entry of a configuration begins: what belongs to it is indented, or begins with the dash of a list."""

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
        results: what `results.json` holds; empty if there is none, or if its rows alone were kept.
        machine: threads, processor and BLAS; empty where the folder does not say.
        measured: the rows of the results, where they alone were kept.
    """

    folder: Path
    status: str
    reason: str = ""
    config: Row = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    measured: list[Row] | None = None

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a folder that a run or a sweep made; a file that cannot be read is the reason why it has no results."""
        try:
            return cls._read(folder)
        except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
            return cls(folder, "unreadable", f"a file in it cannot be read: {' '.join(str(error).split())}")

    @classmethod
    def _read(cls, folder: Path) -> "Run":
        failure = read_json(folder / FAILURE) if (folder / FAILURE).exists() else None
        flat = _compared(failure["config"]) if failure else {}
        if (folder / CONFIG).exists():
            flat = _configuration((folder / CONFIG).read_text(encoding="utf-8"))
        known = _facts((folder / VERSIONS).read_text(encoding="utf-8")) if (folder / VERSIONS).exists() else {}
        if (folder / RESULTS).exists():
            try:
                began = read_json(folder / STARTED) if (folder / STARTED).exists() else {}
                machine = _facts(json.dumps(dict(began).get("machine", {})))
                results = dict(read_json(folder / RESULTS))
                if is_broken(results):
                    return cls(folder, "unreadable", f"{RESULTS} is not what was written: it is damaged", flat, known)
                return cls(folder, "finished", "", flat, known, results, machine)
            except (ValueError, TypeError) as error:
                return cls(folder, "unreadable", f"{RESULTS} cannot be read: {error}", flat, known)
        if failure:
            return cls(folder, "failed", f"{failure['error']}: {failure['message']}", flat, known)
        return cls(folder, "unfinished", f"no {RESULTS}: it is still running, or was stopped", flat, known)

    def rows(self) -> list[Row]:
        """What was measured: a row an alignment, or one row of all plain numbers where there are no alignments."""
        if self.measured is not None:
            return self.measured
        # None where it was not evaluated: a modular adder's accuracy stands among its numbers.
        training = self.results.get("training") or {}
        evaluation, log = training.get("evaluation") or {}, training.get("log") or {}
        trained = {
            "trial_accuracy": evaluation.get("accuracy"),
            "heldout_accuracy": evaluation.get("held_out"),
            "training_steps": log.get("steps"),
        }
        if "alignments" in self.results:
            return [{"recipe": name, **_aligned(a), **trained} for name, a in self.results["alignments"].items()]
        return [{name: value for name, value in flattened(self.results).items() if _is_number(value)}]


def find(roots: Iterable[str | os.PathLike], *, whole: bool = True) -> list[Run]:
    """All run folders at or below `roots`, by path, but those of experiments that read other runs (such as this one).

    Args:
        roots: folders.
        whole: whether all that the runs found is kept, or the rows of a table alone: of many runs it is much.

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
    read = (_with_config(Run.read(folder)) for folder in sorted(folders))
    kept = (run if whole else replace(run, measured=run.rows(), results={}) for run in read)
    return [run for run in kept if "experiment.runs" not in run.config]


def _with_config(run: Run) -> Run:
    """A run as it is; without its configuration, which a run of the library has not, it stands in no mean."""
    if run.status != "finished" or run.config:
        return run
    return replace(run, status="unreadable", reason=f"no {CONFIG}: what was asked is not known", results={})


def _configuration(text: str) -> Row:
    """A configuration by dotted name. Entries that are the same in many runs are read once, and lie there once."""
    if text.lstrip()[:1] in ("{", "[") or "&" in text:  # in one line, or with anchors: not to be parted
        return _compared(yaml.load(text, Loader=LOADER))
    return {name: value for entry in ENTRY.split(text) for name, value in _entry(entry).items()}


@lru_cache(maxsize=4096)
def _entry(text: str) -> Row:
    return _compared(yaml.load(text, Loader=LOADER) or {})


@lru_cache(maxsize=4096)
def _facts(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def _compared(config: Mapping[str, Any]) -> Row:
    return flattened({name: value for name, value in config.items() if name not in NOT_COMPARED[1:]})


def flattened(config: Mapping[str, Any], prefix: str = "") -> Row:
    """Nested mappings as one, by dotted names."""
    flat: Row = {}
    for name, value in config.items():
        inner = isinstance(value, Mapping) and value
        flat |= flattened(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def _aligned(plain: Mapping[str, Any]) -> Row:
    """One alignment of `results.json` as a row."""
    share = {"iia": plain["test"], "heldout_iia": plain["held_out"]}
    return {
        "program": sys.intern(plain["program"]),
        "variable": sys.intern(", ".join(plain["variables"])),
        "function": sys.intern(plain["alignment"]),
        "k": plain["subspace_dim"],
        **{name: None if value is None else value["iia"]["value"] for name, value in share.items()},
        "iia_of_changed": (plain["test"].get("changed") or {}).get("value"),
        "free_running": plain["free_running"] and plain["free_running"]["value"],
        "tokens_off": plain["tokens_off"],
        **{name: value["value"] for name, value in plain["controls"].items()},
        "steps": plain["steps"],
        "converged": plain["converged"],
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
