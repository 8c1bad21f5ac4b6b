"""The table that many runs come to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numsym.results import Result, flat, read_result, rebuilt
from numsym.shares import Mean
from numsym.storage import write_text
from numsym.studies.collect.written import markdown, to_parquet

Row = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Table(Result):
    """Runs, and means over their seeds.

    Attributes:
        by: the names of the configuration that tell the rows of `means` apart.
        runs: a row an alignment of a finished run, and a row a run without results: `folder`, `status`, `reason`, the
            seed and what differs between the configurations, and what was measured.
        means: a row a group and recipe; each measure is a `Mean` over seeds, and `n` says how many runs there are.
        also: what else differs between groups (each a function of `by`): name -> values.
        mixed: what differs although it was not named, where that was allowed.
    """

    by: tuple[str, ...]
    runs: list[Row]
    means: list[Row]
    also: dict[str, list[Any]]
    mixed: list[str]

    @property
    def without_results(self) -> list[Row]:
        """The rows of failed and unfinished runs."""
        return [row for row in self.runs if row["status"] != "finished"]

    name: ClassVar[str] = "collect"

    @property
    def title(self) -> str:
        """How many runs, and how many of them have no results."""
        runs = len({row["folder"] for row in self.runs})
        return f"{runs} runs, {len(self.without_results)} of them without results"

    def rows(self) -> list[Row]:
        """The means."""
        return self.means

    def tables(self) -> dict[str, list[Row]]:
        """What has no results; the means are in the files, where there is room for them."""
        keys = ("folder", "status", "reason")
        return {self.title: [{key: row[key] for key in keys} for row in self.without_results]}

    def write(self, folder: Path) -> None:
        """Write `runs.parquet`, `means.parquet` and `means.md` beside the result.

        In `means.parquet` a measure has four columns: itself (the mean), `_low`, `_high` and `_n`.
        """
        super().write(folder)
        to_parquet(self.runs, folder / "runs.parquet")
        to_parquet([flat(row) for row in self.means], folder / "means.parquet")
        write_text(folder / "means.md", markdown(self))

    @classmethod
    def load(cls, path: str | os.PathLike, model: Any = None) -> "Table":
        """Read what `save` wrote."""
        read = read_result(path, cls.__name__)
        means = [{k: rebuilt(Mean, v) if isinstance(v, dict) else v for k, v in row.items()} for row in read["means"]]
        return cls(tuple(read["by"]), read["runs"], means, read["also"], read["mixed"])
