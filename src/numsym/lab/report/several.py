"""One page for several runs side by side: a section for each task, and what failed or is not finished said as such."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numsym.errors import InvalidArgumentError, RunFolderError
from numsym.figures import charts
from numsym.lab.report import html, page
from numsym.lab.report.told import Told
from numsym.results import formatted
from numsym.shares import Share
from numsym.storage import write_text
from numsym.studies.collect import cell, differences, gathered

MARKS = ("versions.json", "failure.json")
"""A folder with one of these is a run's."""

NOT_NUMBERS = ("task", "engine", "converged", "steps", "tokens_off")
"""Left to each run's own page."""


def find(roots: Iterable[str | os.PathLike]) -> list[Path]:
    """The run folders at or below `roots`, by path.

    Raises:
        InvalidArgumentError: a root is not there, or holds no run.
    """
    found: set[Path] = set()
    for root in map(Path, roots):
        if not root.is_dir():
            raise InvalidArgumentError(f"{str(root)!r} is not allowed: there is no such folder")
        here = set()
        for path, inside, files in os.walk(root):
            if any(name in files for name in MARKS):
                here.add(Path(path))
                inside.clear()
            inside[:] = [name for name in inside if not name.startswith(".")]
        if not here:
            raise InvalidArgumentError(
                f"{str(root)!r} is not allowed: it is no run folder and holds none (they have a {' or a '.join(MARKS)})"
            )
        found |= here
    return sorted(found)


def write(roots: Sequence[str | os.PathLike], out: str | os.PathLike | None = None) -> Path:
    """Write the page of one run into its folder, or of several into `report.html` here; an older page is replaced.

    Args:
        roots: run folders, or folders of them.
        out: the file, if another.

    Returns:
        The file.

    Raises:
        InvalidArgumentError: there is no such folder, or no run in it.
        RunFolderError: the file is there, and is not a page of numsym.
    """
    folders = find(roots)
    default = folders[0] / page.PAGE if len(folders) == 1 else Path(page.PAGE)
    path = default if out is None else Path(out)
    if path.exists() and f'name="generator" content="{page.GENERATOR}"' not in path.read_text(errors="replace")[:2000]:
        raise RunFolderError(f"out={str(path)!r} is there and is not a report: it is left as it is, give another file")
    runs = [Told.read(folder) for folder in folders]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page.one(runs[0]) if len(runs) == 1 else several(runs, path.parent))
    return path


def several(runs: Sequence[Told], beside: Path) -> str:
    """The page of several runs.

    Args:
        runs: as they are read.
        beside: the folder that the page will lie in, for its links to each run's own.
    """
    drawn: dict[str, Any] = {}
    names = _names(runs)
    statuses = [run.run.status for run in runs]
    counted = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    tasks: dict[str, list[Told]] = {}
    for run in runs:
        tasks.setdefault(run.task or "task not known", []).append(run)
    parts = [html.text("p", f"{len(runs)} runs: {counted}.")]
    for task, members in tasks.items():
        studies: dict[str, list[Told]] = {}
        for run in members:
            studies.setdefault(run.study, []).append(run)
        inside = [_study(study, group, names, drawn) for study, group in studies.items()]
        parts.append(html.section(task, *inside, _without(members, names)))
    parts.append(html.section("How they were made", _made(runs, names, beside)))
    asked = dict.fromkeys(question for run in runs if (question := page.question_of(run)))
    return page.document("Runs side by side", " ".join(asked) if len(asked) <= 2 else "", parts, drawn)


def _names(runs: Sequence[Told]) -> dict[Path, str]:
    """Folders by what tells them apart: their path below the one that holds them all."""
    folders = [run.run.folder for run in runs]
    top = Path(os.path.commonpath([str(folder.parent.absolute()) for folder in folders]))
    return {folder: str(folder.absolute().relative_to(top)) for folder in folders}


def _study(study: str, runs: Sequence[Told], names: dict[Path, str], drawn: dict[str, Any]) -> str:
    """One study's runs: their verdicts, their numbers in one table, and beside their controls."""
    finished = [run for run in runs if run.run.status == "finished"]
    if not finished:
        return ""
    differing = differences([run.run for run in finished])
    rows = []
    for run in finished:
        what: dict[str, Any] = {"run": names[run.run.folder], "seed": run.seed}
        what |= {name: run.run.config.get(name) for name in differing if name != "seed"}
        rows += [{**what, **{k: v for k, v in row.items() if k not in NOT_NUMBERS}} for row in run.rows]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    keys = [key for key in keys if any(row.get(key) is not None for row in rows)]
    shown = [{key: formatted(row.get(key)) for key in keys} for row in rows]
    verdicts = [html.text("h4", names[run.run.folder]) + page.verdict(run) for run in finished if page.verdict(run)]
    named = [{"run": _label(row), **row} for row in rows]
    pictures = {}
    if any(isinstance(value, Share) for row in named for value in row.values()):
        chart = charts.beside_controls([{**row, "run": _label(row)} for row in rows], "run")
        pictures = {f"{study}: each beside its controls": chart.to_dict(validate=False)}
    return html.section(study, *verdicts, html.table(shown, f"{study}: what was measured"), _means(study, finished),
                        page.grid(pictures, drawn), level=3)  # fmt: skip


def _means(study: str, runs: Sequence[Told]) -> str:
    """Means over seeds, where runs differ in nothing else; what must be known with them stands below."""
    table = gathered([run.run for run in runs], allow_mixed=True)
    rows = [row for row in table.means if row["n"] > 1]
    if not rows:
        return ""
    keys = [key for key in rows[0] if any(row.get(key) is not None for row in rows)]
    shown = [{key.replace("_", " "): cell(key, row.get(key), row["n"]) for key in keys} for row in rows]
    mixed = html.text("p", f"Not alike, though in one mean: {'; '.join(table.mixed)}.", class_="notes")
    caption = f"{study}: means over n seeds, with Student's 95 % intervals; shares in percent"
    return html.table(shown, caption) + (mixed if table.mixed else "")


def _label(row: dict[str, Any]) -> str:
    what = next((str(row[key]) for key in ("recipe", "hypothesis") if row.get(key)), "")
    return f"{row['run']} {what}".strip()


def _without(runs: Sequence[Told], names: dict[Path, str]) -> str:
    """Runs that have no result, and why."""
    made = [
        html.finding(run.run.status, f"{names[run.run.folder]}: {run.run.reason}", "no")
        for run in runs
        if run.run.status != "finished"
    ]
    return html.section("Without a result", html.tag("ul", *made, class_="verdict"), level=3) if made else ""


def _made(runs: Sequence[Told], names: dict[Path, str], beside: Path) -> str:
    """A table: how each run was begun, with a link to its own page."""
    rows = [
        {
            "run": names[run.run.folder],
            "status": run.run.status,
            "seed": run.seed,
            "command": run.started.get("command", "-"),
            "begun": run.started.get("date", "-"),
            "commit": run.started.get("commit", "-"),
            "versions": ", ".join(f"{name} {version}" for name, version in run.run.versions.items()),
        }
        for run in runs
    ]
    pages = [
        html.tag("li", html.text("a", names[run.run.folder], href=os.path.relpath(run.run.folder / page.PAGE, beside)))
        for run in runs
        if (run.run.folder / page.PAGE).is_file()
    ]
    links = html.text("p", "Each run's own page:") + html.tag("ul", *pages) if pages else ""
    return html.table(rows, "the runs") + links
