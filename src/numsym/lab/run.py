"""Run folders: what an experiment leaves behind, and how an interrupted one goes on.

Everything in a run folder appears whole: folders are renamed into place, files are replaced in one step, and
`results.json` comes last. So what is there is finished, and what is missing is still to do. Names that begin with a dot
are what a process that was killed had not finished writing.
"""

import json
import platform
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numsym.errors import RunFolderError
from numsym.storage import read_json, write_json, write_text

CONFIG, RESULTS, METRICS = "config.yaml", "results.json", "metrics.jsonl"
VERSIONS, FAILURE = "versions.json", "failure.json"


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
    _check_same(path, config)
    return True


def write_failure(path: str | Path, config: Mapping[str, Any], error: Exception) -> None:
    """Write `failure.json`: why a run ended without results. The next start of the run takes it away."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    lines = "".join(traceback.format_exception(error)).splitlines()
    content = {"error": type(error).__name__, "message": str(error), "traceback": lines[-20:], "config": dict(config)}
    write_json(path / FAILURE, content)


class RunFolder:
    """One run's folder, new or to be gone on with.

    Args:
        path: the folder; made if it is not there.
        config: the resolved configuration; its `folder` entry does not count as part of it.

    Raises:
        RunFolderError: the folder holds a finished run, a run with another configuration or begun with other versions
            of the packages, or something else.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any]):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / RESULTS).exists():
            raise RunFolderError(f"folder={str(path)!r} holds a finished run: give a new folder")
        if (self.path / CONFIG).exists():
            _check_same(self.path, config)
            self._check_versions()
        elif others := [p.name for p in self.path.iterdir() if p.name[0] != "." and p.name not in (VERSIONS, FAILURE)]:
            raise RunFolderError(
                f"folder={str(path)!r} holds something else than a run ({min(others)}): give a new or empty folder"
            )
        else:
            write_json(self.path / VERSIONS, versions())
            write_text(self.path / CONFIG, _text(config))
        (self.path / FAILURE).unlink(missing_ok=True)

    def _check_versions(self) -> None:
        there, here = self.path / VERSIONS, versions()
        begun = read_json(there) if there.exists() else {}
        changed = [f"{name} {begun[name]}" for name in begun if begun[name] != here.get(name)]
        if changed:
            raise RunFolderError(
                f"folder={str(self.path)!r} holds a run begun with {', '.join(changed)}: give a new folder, or go on "
                "with those versions"
            )

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def done(self, name: str) -> bool:
        """Whether a part of the run is there, and so finished."""
        return (self.path / name).exists()

    def add_metrics(self, records: list[dict[str, Any]]) -> None:
        """Append records to `metrics.jsonl`, one line each, in one step."""
        there = self.path / METRICS
        before = there.read_text(encoding="utf-8") if there.exists() else ""
        write_text(there, before + "".join(json.dumps(record) + "\n" for record in records))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write the results: the run is finished."""
        write_json(self.path / RESULTS, results)

    def results(self) -> dict[str, Any]:
        """What a finished run wrote."""
        return read_json(self.path / RESULTS)


def _text(config: Mapping[str, Any]) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create({k: v for k, v in config.items() if k != "folder"}))


def _check_same(path: Path, config: Mapping[str, Any]) -> None:
    there = path / CONFIG
    if not there.exists() or there.read_text(encoding="utf-8") != _text(config):
        raise RunFolderError(
            f"folder={str(path)!r} holds a run with another configuration ({there}): give a new folder, or the "
            "same configuration to go on"
        )
