"""Run folders as they are found and read."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from numsym.errors import InvalidArgumentError
from numsym.storage import read_json

CONFIG, RESULTS, FAILURE, VERSIONS = "config.yaml", "results.json", "failure.json", "versions.json"
STARTED, SEED = "started.json", "seed"
NOT_COMPARED = (SEED, "folder", "wandb")
"""Parts of a configuration that the numbers of a run do not depend on, and the seed."""


Row = dict[str, Any]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is some ten times faster."""


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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
