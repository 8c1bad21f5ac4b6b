"""A run folder is a study's memory: what it leaves behind, and how an interrupted one goes on.

Everything in it appears whole: folders are renamed into place, files are replaced in one step, and `results.json` comes
last. So what is there is finished, and what is missing is still to do. Names that begin with a dot are what a process
that was killed had not finished writing.

| there | what it is |
| --- | --- |
| `config.yaml`, `versions.json` | what was asked, by a command; the versions of what the numbers depend on |
| `model/`, `alignments/...`, ... | parts (`Run.keep`), each with its checksums, `asked.json`, and `metrics.jsonl` |
| `metrics.jsonl` | the courses of all parts, made anew from them whenever one is added |
| `started.json` | the command, the date and the commit with which it began |
| `results.json`, `table.csv`, `*.png` | the result, when the study has ended |
| `report.html`, `report.json` | the result as a page that one looks at, and what the page is made of |
| `failure.json` | why the last start of it ended without |
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from numsym.errors import RunFolderError
from numsym.lab import display, started
from numsym.lab.folder import (
    ASKED,
    CONFIG,
    FAILURE,
    HASH,
    METRICS,
    RESULTS,
    STARTED,
    TABLE,
    VERSIONS,
    check,
    gather,
    hash_in,
    is_of,
    text,
    versions,
    whole,
)
from numsym.lab.lock import Lock
from numsym.lab.report import page
from numsym.lab.tracking import Tracker
from numsym.results import Result, plain
from numsym.run import Asked, NoRun, Stage
from numsym.storage import (
    damaged,
    new_folder,
    read_json,
    remove_unfinished,
    sealed,
    set_aside,
    write_checksums,
    write_json,
    write_text,
)
from numsym.studies.catalog import of_recipe

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Run(NoRun):
    """A run with a folder, new or to be gone on with: it resumes, shows progress, tracks and writes.

    Nothing is made before the first part is kept or the result is shown, so what is refused leaves nothing behind.

    Args:
        path: the folder; made if it is not there.
        config: the resolved configuration, where a command runs; its `folder` entry does not count as part of it.
        track: whether Weights & Biases follows the run; `config["wandb"]` may name project, entity, name and tags.
        quiet: whether nothing is printed.
        group: under which Weights & Biases shows it beside others: a sweep's folder.
        job_type: what it is there: the study's name.

    Raises:
        RunFolderError: when it is first used: the folder holds a run with another configuration or begun with other
            versions of the packages, or something else; or another live process writes it.

    Example:
        >>> run = numsym.Run("runs/mine")  # doctest: +SKIP
        >>> numsym.train(model, task, run=run)  # doctest: +SKIP
        >>> numsym.compare(model, task, programs=["up_down", "up_up"], run=run)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        config: Mapping[str, Any] | None = None,
        track: bool = True,
        quiet: bool = False,
        group: str | None = None,
        job_type: str | None = None,
    ):
        self.path, self.config, self.quiet = Path(path), config, quiet
        self._track, self._prefix = track, ""
        self._shown_with = {"group": group, "job_type": job_type}
        self._open, self._notes = False, dict[str, Any]()
        self._closing = ExitStack()
        self._tracker: Tracker | None = None
        self._root: Run = self

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *rest: object) -> None:
        self.close(error)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def open(self) -> None:
        """Take the folder: check what is there, lock it, and write what was asked."""
        root = self._root
        if root._open:
            return
        check(root.path, root.config)
        root.path.mkdir(parents=True, exist_ok=True)
        root._closing.enter_context(Lock(root.path))
        root._open = True
        remove_unfinished(root.path)
        if not (root.path / VERSIONS).exists():
            write_json(root.path / VERSIONS, versions())
        if not (root.path / STARTED).exists():
            write_json(root.path / STARTED, started.facts(by_command=root.config is not None))
        if root.config is not None and not (root.path / CONFIG).exists():
            write_text(root.path / CONFIG, text(root.config))
        (root.path / FAILURE).unlink(missing_ok=True)

    def close(self, error: BaseException | None = None) -> None:
        """Let go of the folder and of the tracker."""
        root = self._root
        tracker, root._tracker = root._tracker, None
        if tracker is not None:
            tracker.finish(failed=error is not None)
        root._closing.close()
        root._open = False

    @property
    def tracker(self) -> Tracker:
        """Weights & Biases, from the first time that it is needed."""
        root = self._root
        if root._tracker is None:
            config = root.config or {}
            said = {name: value for name, value in (config.get("wandb") or {}).items() if value is not None}
            options = {**root._shown_with, **said}
            root._tracker = Tracker(root.path, config, **options, disabled=not root._track)
        return root._tracker

    def __truediv__(self, name: str) -> Path:
        return self.path / (self._prefix + name)

    def within(self, name: str) -> "Run":
        """The same run, for one of several things of a kind: its parts lie in the folder `name`."""
        inner = Run(self.path, config=self.config, track=self._track, quiet=self.quiet)
        inner._root, inner._prefix = self._root, f"{self._prefix}{name}/"
        return inner

    def done(self, name: str) -> bool:
        """Whether a part of the run is there, and so finished."""
        return (self / name).exists()

    def keep_all(
        self,
        names: Sequence[str],
        make: Callable[[Sequence[str]], Mapping[str, T]],
        load: Callable[[Path], T],
        *,
        save: Callable[[T, Path], Any] | None = None,
        asked: Mapping[str, Asked] | None = None,
    ) -> dict[str, T]:
        """Several parts: those in the folder, and the missing ones, which are made together and then lie there."""
        self.open()
        asked = {name: json.loads(json.dumps(plain((asked or {}).get(name, {})))) for name in names}
        found: dict[str, T] = {}
        for name in names:
            if self.done(name):
                if damage := damaged(self / name):
                    said = (self / name, ", ".join(damage), set_aside(self / name).name)
                    logger.warning("%s is damaged (%s): set aside as %s, and made again", *said)
                    continue
                self._check_asked(name, asked[name])
                found[name] = load(self / name)
        missing = [name for name in names if name not in found]
        if found and not (self.path / RESULTS).exists():
            gather(self._root.path)  # a run that was stopped behind a part may not have its course yet
        for name, value in (make(missing) if missing else {}).items():
            with new_folder(self / name) as folder:
                (save or _write)(value, folder)
                if not (folder / ASKED).exists():
                    write_json(folder / ASKED, asked[name])
                if records := getattr(value, "records", None):
                    stage = self._prefix + name
                    lines = (json.dumps({"stage": stage, **record}) + "\n" for record in records)
                    write_text(folder / METRICS, "".join(lines))
                write_checksums(folder)
            found[name] = value
            gather(self._root.path)
            self.tracker.artifact(self / name, name=(self._prefix + name).replace("/", "."), kind="part")
        return {name: found[name] for name in names}

    def _check_asked(self, name: str, asked: Asked) -> None:
        there = self / name / ASKED
        before = read_json(there) if there.exists() else asked
        changed = sorted(key for key in {*before, *asked} if before.get(key) != asked.get(key))
        if changed:
            said = ", ".join(f"{key}={before.get(key)!r} (now {asked.get(key)!r})" for key in changed)
            raise RunFolderError(
                f"folder={str(self / name)!r} was made with {said}: give a new folder, or ask for the same to go on"
            )

    @contextmanager
    def stage(self, title: str, steps: int) -> Iterator[Stage]:
        """A line that shows how far a stage of `steps` steps is, and stays when it is done."""
        self.open()
        with display.stage(title, steps, quiet=self.quiet) as line:
            yield _Tracked(line, self.tracker, self._prefix)

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            display.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def note(self, **facts: Any) -> None:
        """Something that `results.json` says beside the result."""
        self._root._notes |= facts

    def show(self, result: Any, **about: Any) -> Any:
        """Print a result, write its figures, its table and `results.json`, and close the run; within one, keep it.

        A result that is there already is left as it is: a study that is asked again for the same finds all of its parts
        and comes to the same end. Where it comes to another, since more is asked, a warning says so.
        """
        self.open()
        if self._prefix:
            return result
        if not whole(self.path):
            self._write(result, about)
        elif not is_of(self.path, result):
            logger.warning("%s is left as it is, of what was asked before; to keep this, ask in a new folder", RESULTS)
        if not self.quiet:
            display.show(result)
        self.say(f"run folder   {os.path.relpath(self.path)}")
        self.close()
        return result

    def _heading(self) -> str:
        """What a picture is of, where a command says it: the study and the task."""
        config = self.config or {}
        study, task = (str(dict(config.get(key) or {}).get("name") or "") for key in ("experiment", "tasks"))
        return ", ".join(name for name in (study, task if of_recipe(study, config.get("model")) else "") if name)

    def _write(self, result: Result, about: Mapping[str, Any]) -> None:
        figures = result.figures()
        for name, figure in figures.items():
            display.write(figure, self.path / f"{name}.png", self._heading())
        if rows := result.rows():
            write_text(self.path / TABLE, result.to_frame().to_csv(index=False))
        training = self.path / "model" / "training.json"
        trained = {"training": read_json(training)} if training.exists() else {}
        config = {HASH: hash_in(self.path)} if self.config is not None else {}
        said = {"study": type(result).name, **config, **trained, **plain({**self._notes, **about}), **result.to_dict()}
        try:
            page.write_of(self.path, result, said, {f"{name}.png": name.replace("_", " ") for name in figures})
        except Exception:
            # What was found is not lost with its page.
            logger.warning("%s was not written", self.path / page.PAGE, exc_info=True)
        write_json(self.path / RESULTS, sealed(said))
        # Last: what is found is written, whatever becomes of its tracking.
        self.tracker.table("results", rows)
        for name in figures:
            self.tracker.image(name, self.path / f"{name}.png")
        if (self.path / page.PAGE).exists():
            self.tracker.artifact(self.path / page.PAGE, name="report", kind="report")


class _Tracked(Stage):
    """A line of progress whose points Weights & Biases gets too."""

    def __init__(self, line: Stage, tracker: Tracker, prefix: str):
        self._line, self._tracker, self._prefix = line, tracker, prefix

    def to(self, step: int, **numbers: float) -> None:
        self._line.to(step, **numbers)

    def record(self, name: str, record: Mapping[str, float | int]) -> None:
        self._tracker.log(self._prefix + name, record)


def _write(value: Any, folder: Path) -> None:
    value.write(folder)
