"""The page of one run: what was asked, what came out, how sure it is, and how it was made."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from numsym.lab.report import html
from numsym.lab.report.bundle import vega
from numsym.lab.report.courses import courses
from numsym.lab.report.told import FILE, Told, told
from numsym.lab.report.trials import trials
from numsym.results import Result, formatted
from numsym.storage import write_json, write_text
from numsym.studies import STUDIES
from numsym.studies.collect import Run

PAGE = "report.html"
HERE = Path(__file__).parent
GENERATOR = "numsym"

GOOD = ("runs", "found", "holds")
BAD = ("ruled out", "not above controls", "not found", "fails")

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'"
"""Nothing is fetched from anywhere. Vega compiles its expressions."""


def write_of(folder: Path, result: Result, results: Mapping[str, Any], pictures: Mapping[str, str]) -> None:
    """Write `report.json` and `report.html` of a run that has its result.

    Args:
        folder: of the run.
        result: what it found.
        results: what `results.json` says, or is about to say.
        pictures: file name -> what it shows.
    """
    said = told(result, pictures)
    write_json(folder / FILE, said)
    read = Run.read(folder)
    run = Run(folder, "finished", "", read.config, read.versions, dict(results))
    write_text(folder / PAGE, one(Told.read(folder, run=run, said=said)))


def one(run: Told) -> str:
    """The page of one run."""
    charts: dict[str, Any] = {}
    parts = [*_state(run), *_found(run, charts), *_made(run)]
    title = " · ".join(part for part in (run.study, run.task) if part)
    return document(title, question_of(run), parts, charts)


def question_of(run: Told) -> str:
    """What was asked, in a sentence; if its result does not say, the line of its study."""
    if run.said.get("question"):
        return str(run.said["question"])
    line = STUDIES[run.study].__doc__ if run.study in STUDIES else ""
    return (line or "").strip().partition("\n")[0]


def _state(run: Told) -> list[str]:
    """What must be known of a run that has no result."""
    if run.run.status == "finished":
        return []
    lines = run.failure.get("traceback") or []
    where = html.folded("Where it failed", html.text("pre", "\n".join(lines))) if lines else ""
    said = html.text("p", f"This run is {run.run.status}: {run.run.reason}")
    return [html.tag("div", said, where, class_="banner", role="alert")]


def verdict(run: Told) -> str:
    """The verdict with its reasons, as a list."""
    made = []
    for word, reason in run.said.get("findings") or ():
        kind = "yes" if word in GOOD else "no" if word in BAD else "open"
        made.append(html.finding(word, reason, kind))
    return html.tag("ul", *made, class_="verdict") if made else ""


def _found(run: Told, charts: dict[str, Any]) -> list[str]:
    tables = [html.table(rows, title) for title, rows in (run.said.get("tables") or {}).items()]
    if not run.said and run.rows:
        tables = [html.table([{k: formatted(v) for k, v in row.items()} for row in run.rows], "what was measured")]
    notes = html.text("p", run.said["notes"], class_="notes") if run.said.get("notes") else ""
    drawn = grid(run.said.get("charts") or {}, charts)
    stills = [
        html.picture(run.run.folder / file, what)
        for file, what in (run.said.get("pictures") or {}).items()
        if (run.run.folder / file).is_file()
    ]
    inside = run.said.get("inside") or ()
    went = grid(courses(run.run.folder), charts)
    return [
        html.section("What came out", verdict(run)),
        html.section("The numbers", *tables, notes),
        html.section("In pictures", drawn, *stills),
        html.section("Inside the alignments", *(_inside(one, i, charts) for i, one in enumerate(inside))),
        html.section("How it went", went),
    ]


def _inside(one: Mapping[str, Any], number: int, charts: dict[str, Any]) -> str:
    """One alignment: its example trials, where it is right, and where it moves states."""
    far = html.text("p", f"{one['divergence']}.", class_="quiet")
    return html.section(one["name"], trials(one["trials"], f"t{number}"), grid(one["charts"], charts), far, level=3)


def grid(found: Mapping[str, Any], charts: dict[str, Any]) -> str:
    """Charts side by side, each with its numbers as a table beneath; their specifications are added to `charts`."""
    figures = []
    for caption, spec in found.items():
        name = f"c{len(charts)}"
        charts[name] = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}, **spec}
        charts[name]["description"] = caption
        rows = spec.get("data", {}).get("values") or []
        place = html.tag(
            "div", class_="chart", data_chart=name, tabindex="0", role="group",
            aria_label=f"Chart: {caption}. Arrow keys go from mark to mark.",
        )  # fmt: skip
        figures.append(
            html.tag(
                "figure",
                html.text("figcaption", caption),
                place,
                html.tag("div", class_="said", aria_live="polite"),
                html.folded("Its numbers as a table", html.table(rows, caption)) if rows else "",
            )
        )
    return html.tag("div", *figures, class_="charts") if figures else ""


def _made(run: Told) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in run.run.versions.items())
    said = html.facts(
        (
            ("command", run.started.get("command")),
            ("begun", run.started.get("date")),
            ("commit", run.started.get("commit")),
            ("seed", run.seed),
            ("versions", packages),
            ("folder", run.run.folder),
        )
    )
    rows = [{"setting": name, "value": str(value)} for name, value in run.run.config.items()]
    settings = html.folded("Every setting", html.table(rows, "the configuration, by name")) if rows else ""
    return [html.section("How it was made", said, settings)]


def document(title: str, question: str, parts: Sequence[str], charts: Mapping[str, Any]) -> str:
    """A whole page, with everything that it needs inside of it."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    drawing = [html.data(charts, "charts"), *map(html.script, (vega(), script))] if charts else []
    asked = html.text("p", question, class_="question") if question else ""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta name="generator" content="{GENERATOR}"><title>{escape(title)}</title><style>{style}</style></head>',
            '<body><a class="skip" href="#main">To the results</a>',
            html.tag("header", html.text("h1", title), asked),
            html.tag("main", *parts, id="main"),
            html.text("footer", "Made by numsym. The page is whole: it needs no network."),
            *drawing,
            "</body></html>\n",
        ]
    )
