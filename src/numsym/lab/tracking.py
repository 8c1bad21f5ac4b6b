"""Weights & Biases: every run is tracked, and no key, server, network or disk ever stops one or asks anything.

What fails is one line of warning: a server that refuses or does not answer makes the run offline, anything else ends
its tracking. The run itself goes on. `docs/tracking.md` lists what is logged.
"""

import logging
import netrc
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlparse

from numsym.results import flat
from numsym.shares import Difference, Mean, Share
from numsym.storage import write_text

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

MODES = ("online", "offline", "disabled")
ID = "run-id"
"""In `wandb/` of the run folder: the id under which the run goes on."""
PATIENCE = {"init_timeout": 15, "login_timeout": 10, "finish_timeout": 120}
"""Seconds that wandb may take to begin and to end; by itself it waits 90, and for ever."""
QUIET: dict[str, Any] = {"silent": True, "console": "off", "save_code": False, "reinit": "create_new"}
"""Nothing is printed or copied, and a run of the user's own in this process stays as it is."""
SUMMARISED = 30
"""Rows up to which a table is part of the summary."""


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
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with socket.create_connection((parts.hostname or "", port), timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def mode() -> str:
    """What `WANDB_MODE` says, if it can be; else "online" where there is a key and the server answers, or "offline"."""
    wanted = os.environ.get("WANDB_MODE") or None
    if wanted in ("offline", "dryrun"):
        return "offline"
    if wanted == "disabled":
        return "disabled"
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    lacking = None if has_key(server) else "there is no API key"
    if lacking is None and not reachable(server):
        lacking = f"{server} does not answer"
    if wanted not in (None, "online", "run"):
        logger.warning("WANDB_MODE=%r is none of %s: taken as if it were not set", wanted, ", ".join(MODES))
    elif wanted is not None and lacking is not None:
        logger.warning("WANDB_MODE=%s, but %s: the run is tracked offline", wanted, lacking)
    return "online" if lacking is None else "offline"


def guarded(method: F) -> F:
    """A method of `Tracker` that does nothing once tracking has ended, and ends it when it fails."""

    @wraps(method)
    def call(self: "Tracker", *args: Any, **kwargs: Any) -> None:
        if self.run is None:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self._end(error)

    return call  # type: ignore[return-value]


class Tracker:
    """One tracked run; no method of it raises.

    Args:
        folder: of the run; wandb keeps its files in `wandb/` there.
        config: the resolved configuration of the run, logged whole.
        project, entity, name, tags, group, job_type: as wandb means them; by default the run has its folder's name.
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
        group: str | None = None,
        job_type: str | None = None,
        disabled: bool = False,
    ):
        self.run: Any = None
        self.mode = "disabled" if disabled else mode()
        options = {
            "project": project,
            "entity": entity,
            "name": (name or folder.resolve().name)[-128:],
            "tags": list(tags),
            "group": group and group[-128:],
            "job_type": job_type,
            "config": dict(config),
            "dir": str(folder),
        }
        try:
            self._start(folder, options)
        except Exception as error:
            self._end(error)

    def _start(self, folder: Path, options: dict[str, Any]) -> None:
        import wandb

        self._wandb = wandb
        if self.mode == "disabled":
            self.run = self._init(options)
            return
        # wandb falls back to the system's temporary folder when its own is missing.
        (folder / "wandb").mkdir(exist_ok=True)
        options["id"] = _id(folder / "wandb" / ID)
        if self.mode == "online":
            try:
                self.run = self._init({**options, "resume": "allow"})
                return
            except Exception as error:
                logger.warning("wandb: the run is tracked offline (%s)", _said(error))
                # wandb's own process holds the id of the run that it could not begin.
                self.mode, options["id"] = "offline", f"{options['id']}-offline"
        self.run = self._init(options)

    def _init(self, options: Mapping[str, Any]) -> Any:
        known = getattr(self._wandb.Settings, "model_fields", {})  # older versions know fewer
        patience: dict[str, Any] = {name: seconds for name, seconds in PATIENCE.items() if name in known}
        if server := os.environ.get("WANDB_BASE_URL"):
            patience["base_url"] = server  # wandb reads the variable once a process, and keeps what it said then
        with _told(WANDB_MODE=self.mode, WANDB_SILENT="true"):
            return self._wandb.init(
                **options,
                mode=self.mode,  # type: ignore[arg-type]
                settings=self._wandb.Settings(**QUIET, **patience),
            )

    def _end(self, error: Exception) -> None:
        logger.warning("wandb: the run is not tracked any more (%s)", _said(error))
        run, self.run, self.mode = self.run, None, "disabled"
        if run is not None:
            with suppress(Exception):
                run.finish(exit_code=1)

    @guarded
    def finish(self, *, failed: bool = False) -> None:
        """The run has ended."""
        run, self.run = self.run, None
        run.finish(exit_code=int(failed))

    @guarded
    def log(self, group: str, record: Mapping[str, float | int]) -> None:
        """One record of a curve: `group/name` against `group/step`."""
        self.run.define_metric(f"{group}/*", step_metric=f"{group}/step")
        self.run.log({f"{group}/{name}": value for name, value in record.items()})

    @guarded
    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table and, where it has shares, a chart of the first of them; few rows are the run's summary, too.

        Every column has one type, so that wandb can sort and plot it; the ends of intervals are columns of their own.
        """
        if not rows:
            return
        columns, data = columns_of(rows)
        table = self._wandb.Table(columns=columns, data=data)
        logged: dict[str, Any] = {name: table}
        share = next((key for key in rows[0] if any(isinstance(row.get(key), Share) for row in rows)), None)
        if share is not None and len(rows) <= SUMMARISED:
            bars = [[label, row[share].value] for label, row in zip(labels(rows), rows, strict=True) if row.get(share)]
            drawn = self._wandb.Table(columns=["row", share], data=bars)
            logged[f"{name}_{share}"] = self._wandb.plot.bar(drawn, "row", share, title=f"{name}: {share}")
        self.run.log(logged)
        self.run.summary.update(summary(rows))

    @guarded
    def image(self, name: str, path: Path) -> None:
        """A picture."""
        self.run.log({name: self._wandb.Image(str(path))})

    @guarded
    def artifact(self, path: Path, *, name: str, kind: str) -> None:
        """A folder or a file, as an artifact of that kind."""
        if self.mode == "disabled":
            return
        artifact = self._wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "-", name)[-128:], type=kind)
        if path.is_dir():
            artifact.add_dir(str(path))
        else:
            artifact.add_file(str(path))
        self.run.log_artifact(artifact)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str | int], list[list[Any]]]:
    """Rows as columns of one type each: all numbers (as floats), all true or false, or all text."""
    plain = [flat(row) for row in rows]
    # Where a share was not measured there are no ends of its interval.
    names = list(dict.fromkeys(key for row in plain for key in row))
    made = []
    for name in names:
        column = [row.get(name) for row in plain]
        there = [value for value in column if value is not None]
        kind: Callable[[Any], Any] = str
        if all(isinstance(value, bool) for value in there):
            kind = bool
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
            kind = float
        made.append([None if value is None else kind(value) for value in column])
    return list(names), [list(row) for row in zip(*made, strict=True)]


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells rows apart: their words, or those of them that are not the same in all; else their numbers."""
    words = [key for key in rows[0] if any(isinstance(row.get(key), str) for row in rows) and key != "why"]
    telling = [key for key in words if len({row.get(key) for row in rows}) > 1]
    made = ["/".join(str(row.get(key)) for key in telling or words[:1]) for row in rows]
    return [label if label and made.count(label) == 1 else f"{label}#{i}" for i, label in enumerate(made)]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run found as single values: by column, or by row and column where there are several rows."""
    if len(rows) > SUMMARISED:
        return {}
    found: dict[str, Any] = {}
    for label, row in zip(labels(rows), rows, strict=True):
        for key, value in flat(row).items():
            measured = isinstance(row.get(key), Share | Mean | Difference | float | bool) or key == "verdict"
            if value is not None and (len(rows) == 1 or measured):
                single = isinstance(value, bool | int | float | str)
                found[key if len(rows) == 1 else f"{label}/{key}"] = value if single else str(value)
    return found


def _id(path: Path) -> str:
    """The id under which the run was begun, or a new one, kept for when it goes on."""
    if path.is_file() and (found := path.read_text(encoding="utf-8").strip()):
        return found
    made = secrets.token_hex(4)
    write_text(path, made + "\n")
    return made


@contextmanager
def _told(**variables: str) -> Iterator[None]:
    """Environment variables for a while: wandb reads them itself, and stops at a mode that it does not know."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _said(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")
