"""Run folders: what an experiment leaves behind, and how an interrupted one goes on.

Everything in a run folder appears whole: folders are renamed into place, files are replaced in one step, and
`results.json` comes last. So what is there is finished, and what is missing is still to do.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.errors import RunFolderError
from numsym.storage import read_json, write_json, write_text

CONFIG, RESULTS, METRICS = "config.yaml", "results.json", "metrics.jsonl"


class RunFolder:
    """One run's folder, new or to be gone on with.

    Args:
        path: the folder; made if it is not there.
        config: the resolved configuration; its `folder` entry does not count as part of it.

    Raises:
        RunFolderError: the folder holds a finished run, a run with another configuration, or something else.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any]):
        from omegaconf import OmegaConf

        self.path = Path(path)
        text = OmegaConf.to_yaml(OmegaConf.create({k: v for k, v in config.items() if k != "folder"}))
        self.path.mkdir(parents=True, exist_ok=True)
        there = self.path / CONFIG
        if (self.path / RESULTS).exists():
            raise RunFolderError(f"folder={str(path)!r} holds a finished run: give a new folder")
        if there.exists():
            if there.read_text(encoding="utf-8") != text:
                raise RunFolderError(
                    f"folder={str(path)!r} holds a run with another configuration ({there}): give a new folder, or the "
                    "same configuration to go on"
                )
        elif any(self.path.iterdir()):
            raise RunFolderError(f"folder={str(path)!r} holds something else than a run: give a new or empty folder")
        else:
            write_text(there, text)

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
