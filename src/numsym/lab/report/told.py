"""What a result has to say on a page, as plain values: written beside it, so that pages are made without its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from numsym.alignment import AlignmentResult
from numsym.results import Result, formatted, plain
from numsym.shares import Difference, Mean, Share
from numsym.storage import read_json
from numsym.studies import STUDIES
from numsym.studies.catalog import of_recipe
from numsym.studies.collect import Run

MOST, MEASURED = 4, 400
"""So many alignments are taken apart on a page, each on so many pairs: a page must not take long to write."""

FILE, STARTED = "report.json", "started.json"
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Share, Mean, Difference)}

Row = dict[str, Any]


def told(result: Result, pictures: Mapping[str, str]) -> Row:
    """What `result` has to say.

    Args:
        result: of a study.
        pictures: file name in the run folder -> what it shows, of those that no chart stands for.

    Returns:
        `question`, `findings`, `tables` (cells as they are read), `notes`, `charts` (caption -> Vega-Lite), `pictures`,
        `inside` (alignments taken apart), and `rows` with their intervals.
    """
    tables = {title: [{k: formatted(v) for k, v in row.items()} for row in rows] for title, rows in _tables(result)}
    charts = {caption: chart.to_dict(validate=False) for caption, chart in result.charts().items()}
    return {
        "question": result.question,
        "findings": [list(finding) for finding in result.findings()],
        "tables": tables,
        "notes": result.notes,
        "charts": charts,
        "pictures": {} if charts else dict(pictures),
        "inside": [
            _inside(name, one.explain(measured=MEASURED, tries=False)) for name, one in explainable(result)[:MOST]
        ],
        "rows": [{name: _packed(value) for name, value in row.items()} for row in result.rows()],
    }


def _inside(name: str, found: Any) -> Row:
    """One alignment taken apart: `numsym.alignment.explain.Explanation`."""
    return {
        "name": name,
        "divergence": str(found.divergence),
        "charts": {caption: chart.to_dict(validate=False) for caption, chart in found.charts().items()},
        "trials": plain(found.examples),
    }


def explainable(result: Result) -> list[tuple[str, AlignmentResult]]:
    """The alignments in a result that know their model and their task, by what they are."""
    found: dict[str, AlignmentResult] = {}

    def look(value: Any, name: str) -> None:
        if isinstance(value, AlignmentResult):
            if value.explainer is not None and value.model is not None:
                called = name or f"{value.program}.{', '.join(value.variables)} at {value.site}"
                found[called if called not in found else f"{called} ({len(found) + 1})"] = value
        elif isinstance(value, Mapping):
            for key, one in value.items():
                look(one, str(key))
        elif isinstance(value, list | tuple):
            for one in value:
                look(one, "")
        elif is_dataclass(value) and not isinstance(value, type):
            for one in fields(value):
                look(getattr(value, one.name), "")

    look(result, "")
    return list(found.items())


def _tables(result: Result) -> list[tuple[str, list[Row]]]:
    return [(title, rows) for title, rows in result.tables().items() if rows]


def _packed(value: Any) -> Any:
    kind = type(value).__name__
    return {"": kind, **plain(value)} if kind in KINDS else plain(value)


def _unpacked(value: Any) -> Any:
    if not (isinstance(value, dict) and value.get("") in KINDS):
        return value
    inside = {name: float("nan") if one is None else one for name, one in value.items() if name}
    return KINDS[value[""]](**inside)


@dataclass(frozen=True)
class Told:
    """A run folder as a page shows it.

    Attributes:
        run: what the folder holds.
        said: what its result has to say, as `told` gives it; empty for a run that has none, or that is older.
        started: the command, the date and the commit with which it began; empty for older runs.
        failure: why it failed, where it did.
    """

    run: Run
    said: Row = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)
    failure: Row = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, **given: Any) -> "Told":
        """Read a folder; what is `given` stands in place of what lies there."""
        read: Row = {}
        for name, file in (("said", FILE), ("started", STARTED), ("failure", "failure.json")):
            path = folder / file
            read[name] = read_json(path) if path.is_file() else {}
        return cls(**{"run": Run.read(folder), **read, **given}) if "run" not in given else cls(**{**read, **given})

    @property
    def rows(self) -> list[Row]:
        """The rows of its result, with their intervals; of older runs, the plain numbers."""
        if self.said:
            return [{name: _unpacked(value) for name, value in row.items()} for row in self.said["rows"]]
        return self.run.rows() if self.run.results else []

    @property
    def study(self) -> str:
        """The name of the study, or of its result where that is not known."""
        named = self.run.config.get("experiment.name")
        result = self.run.results.get("study", "run")
        return str(named or next((name for name in STUDIES if _result_of(name) == result), result))

    @property
    def task(self) -> str:
        """What the network does; empty where the folder does not say, and for a study that takes no recipe's task."""
        if not of_recipe(self.study, self.run.config.get("model")):
            return ""
        return str(self.run.config.get("tasks.name") or _first(self.run.results, "task") or "")

    @property
    def seed(self) -> str:
        """The seed, or the seeds."""
        found = self.run.config.get("seed", _first(self.run.results, "seed"))
        return "" if found is None else str(found)


def _result_of(study: str) -> str:
    """The name of what a study returns."""
    return str(getattr(get_type_hints(STUDIES[study]).get("return"), "name", ""))


def _first(content: Any, key: str) -> Any:
    """The first plain value of this name in nested values."""
    if isinstance(content, Mapping):
        if isinstance(content.get(key), str | int):
            return content[key]
        content = list(content.values())
    for inner in content if isinstance(content, list) else ():
        if (found := _first(inner, key)) is not None:
            return found
    return None
