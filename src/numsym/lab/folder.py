"""What is in a run folder: which run's it is, whether that is finished, and why it is not."""

import hashlib
import json
import logging
import platform
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numsym.errors import RunFolderError
from numsym.lab.report.told import STARTED
from numsym.results import Result, plain
from numsym.storage import is_broken, read_json, set_aside, write_json, write_text

logger = logging.getLogger(__name__)

CONFIG, RESULTS, METRICS = "config.yaml", "results.json", "metrics.jsonl"
VERSIONS, FAILURE, ASKED, TABLE = "versions.json", "failure.json", "asked.json", "table.csv"
OWN = (VERSIONS, FAILURE, STARTED, "wandb")
HASH = "configuration"
"""In `results.json`: the SHA-256 of `config.yaml`."""


def versions() -> dict[str, str]:
    """The versions that a run's numbers may depend on."""
    packages = {name: version(name) for name in ("numsym", "torch", "pyvene", "transformers")}
    return {**packages, "python": platform.python_version()}


def finished(path: str | Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder holds this run, finished.

    Raises:
        RunFolderError: it holds a finished run with another configuration.
    """
    path = Path(path)
    if not (path / RESULTS).exists():
        return False
    check_same(path, config)
    return whole(path)


def is_of(path: Path, result: Result) -> bool:
    """Whether the results that a run has are these."""
    kept, said = read_json(path / RESULTS), json.loads(json.dumps(plain(result.to_dict())))
    return all(name in kept and kept[name] == value for name, value in said.items())


def whole(path: Path) -> bool:
    """Whether a run's results are there. What is there and cannot be read is named and set aside, to be made again."""
    there = path / RESULTS
    if not there.exists():
        return False
    try:
        read = read_json(there)
        if is_broken(read):
            raise ValueError("it is not what was written")
        if "study" in read and read.get(HASH, hash_in(path)) == hash_in(path):
            return True
        said = f"it is not of {CONFIG}" if "study" in read else "it names no study"
    except (ValueError, TypeError, IsADirectoryError) as error:
        said = str(error)
    logger.warning("%s is damaged (%s): set aside as %s, and made again", there, said, set_aside(there).name)
    return False


def hash_in(path: Path) -> str | None:
    """The SHA-256 of its configuration, where it has one."""
    there = path / CONFIG
    return hashlib.sha256(there.read_bytes()).hexdigest() if there.is_file() else None


def write_failure(path: str | Path, config: Mapping[str, Any], error: Exception) -> None:
    """Write `failure.json`: why a run ended without results. The next start of the run takes it away."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    lines = "".join(traceback.format_exception(error)).splitlines()
    content = {"error": type(error).__name__, "message": str(error), "traceback": lines[-20:], "config": dict(config)}
    write_json(path / FAILURE, content)


def check(path: Path, config: Mapping[str, Any] | None) -> None:
    """Look at what is in a folder, before anything is written to it.

    Raises:
        RunFolderError: it holds something else than this run, begun with the same versions.
    """
    file = next((one for one in (path, *path.parents) if one.exists() and not one.is_dir()), None)
    if file is not None:
        raise RunFolderError(f"folder={str(path)!r} is not allowed: {file} is a file; give a new folder")
    if not path.exists():
        return
    there = {p.name for p in path.iterdir() if p.name[0] != "."}
    if CONFIG in there or (config is not None and there - set(OWN)):
        if config is None:
            raise RunFolderError(
                f"folder={str(path)!r} holds a run of the command ({CONFIG}): give a new folder, or go on "
                "with it by the command"
            )
        if CONFIG not in there:
            others = min(there - set(OWN))
            raise RunFolderError(
                f"folder={str(path)!r} holds something else than a run ({others}): give a new or empty folder"
            )
        check_same(path, config)
    elif there and VERSIONS not in there and there - set(OWN):
        raise RunFolderError(
            f"folder={str(path)!r} holds something else than a run ({min(there)}): give a new or empty folder"
        )
    begun = _begun(path) if VERSIONS in there else {}
    here = versions()
    changed = [f"{name} {begun[name]}" for name in begun if begun[name] != here.get(name)]
    if changed:
        raise RunFolderError(
            f"folder={str(path)!r} holds a run begun with {', '.join(changed)}: give a new folder, or go on "
            "with those versions"
        )


def _begun(path: Path) -> dict[str, str]:
    """The versions that a run was begun with; where they cannot be read, that is said, and they are written anew."""
    try:
        return dict(read_json(path / VERSIONS))
    except (ValueError, TypeError) as error:
        there = path / VERSIONS
        said = "%s is damaged (%s): set aside as %s; whether the run was begun with these versions is not known"
        logger.warning(said, there, error, set_aside(there).name)
        return {}


def gather(root: Path) -> None:
    """`metrics.jsonl`, anew from the parts: no part's course is ever there twice, or missing."""
    found = [path for path in root.rglob(METRICS) if path.parent != root and "wandb" not in path.parts]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    found.sort(key=lambda path: (path.stat().st_mtime_ns, str(path)))
    write_text(root / METRICS, "".join(path.read_text(encoding="utf-8") for path in found))


def text(config: Mapping[str, Any]) -> str:
    """A configuration as `config.yaml` holds it."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create({k: v for k, v in config.items() if k != "folder"}))


def check_same(path: Path, config: Mapping[str, Any]) -> None:
    """Raise `RunFolderError` unless a folder is of this configuration."""
    there = path / CONFIG
    if not there.exists() or there.read_text(encoding="utf-8") != text(config):
        raise RunFolderError(
            f"folder={str(path)!r} holds a run with another configuration ({there}): give a new folder, or the "
            "same configuration to go on"
        )
