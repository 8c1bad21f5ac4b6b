"""Weights & Biases: every run is tracked, and a missing key or network never stops one or asks anything."""

import netrc
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from numsym.results import flat


def has_key(server: str) -> bool:
    """Whether there is an API key for `server`: in `WANDB_API_KEY`, or where `wandb login` puts it (netrc)."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(urlparse(server).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def reachable(url: str, seconds: float = 2.0) -> bool:
    """Whether something answers at the host of `url`."""
    parts = urlparse(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=seconds):
            return True
    except OSError:
        return False


def mode() -> str:
    """What `WANDB_MODE` says; else "online" where there is a key and the server answers, "offline" otherwise."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    return "online" if has_key(server) and reachable(server) else "offline"


class Tracker:
    """One tracked run.

    Args:
        folder: where wandb keeps its files.
        config: the resolved configuration of the run, logged whole.
        project, entity, name, tags: as wandb means them.
        disabled: whether nothing is tracked at all.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        project: str = "numsym",
        entity: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        disabled: bool = False,
    ):
        import wandb

        self.mode = "disabled" if disabled else mode()
        if self.mode != "disabled":
            # wandb falls back to the system's temporary folder when its own is missing.
            (folder / "wandb").mkdir(exist_ok=True)
        self._wandb = wandb
        self.run = wandb.init(
            project=project,
            entity=entity,
            name=name,
            tags=list(tags),
            config=dict(config),
            dir=str(folder),
            mode=self.mode,  # type: ignore[arg-type]
            settings=wandb.Settings(silent=True, console="off", save_code=False),
        )

    def finish(self, *, failed: bool = False) -> None:
        """The run has ended."""
        self.run.finish(exit_code=int(failed))

    def log(self, group: str, record: Mapping[str, float | int]) -> None:
        """One record of a curve: `group/name` against `group/step`."""
        self.run.define_metric(f"{group}/*", step_metric=f"{group}/step")
        self.run.log({f"{group}/{name}": value for name, value in record.items()})

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table, from rows with the same keys; the ends of intervals are columns of their own."""
        plain = [flat(row) for row in rows]
        # Where a share was not measured there are no ends of its interval.
        columns: list[str | int] = list(dict.fromkeys(key for row in plain for key in row))
        data = [[row.get(str(key)) for key in columns] for row in plain]
        self.run.log({name: self._wandb.Table(columns=columns, data=data)})

    def image(self, name: str, path: Path) -> None:
        """A picture."""
        self.run.log({name: self._wandb.Image(str(path))})

    def artifact(self, path: Path, *, name: str, kind: str) -> None:
        """A folder, as an artifact of that kind."""
        if self.mode == "disabled":
            return
        artifact = self._wandb.Artifact(name, type=kind)
        artifact.add_dir(str(path))
        self.run.log_artifact(artifact)
