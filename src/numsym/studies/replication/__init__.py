"""The replication of [N]: the verdict on each of its claims, from the runs of `numsym experiment=replicate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numsym.results import Result, left_out
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.collect import Run, find, gathered
from numsym.studies.replication import needed
from numsym.studies.replication.claims import Claimed, cells, verdicts
from numsym.studies.replication.figures import graded_iia, iia_of_cells
from numsym.studies.replication.page import write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Claimed", "Replication", "replication"]


@dataclass(frozen=True, repr=False)
class Replication(Result):
    """What the runs say to each claim.

    Attributes:
        claims: the verdicts.
        runs: what they rest on; `None` in a result that was read back.
    """

    claims: tuple[Claimed, ...]
    runs: Sequence[Run] | None = left_out(default=None)

    name: ClassVar[str] = "replication"

    @property
    def title(self) -> str:
        """What the rows are."""
        return "Claims of [N], and what the page adds to them"

    def rows(self) -> list[dict[str, Any]]:
        """A row a claim."""
        return [{"verdict": one.verdict, "claim": one.claim, "numbers": one.numbers} for one in self.claims]

    def figures(self) -> "dict[str, Figure]":
        """IIA of every cell, and the count's by count and difference."""
        found = sorted(cells(self.runs or ()), key=lambda cell: (cell.network, cell.task))
        return {"replication_iia": iia_of_cells(found), "replication_graded": graded_iia(found)} if found else {}


@study
def replication(
    *, runs: tuple[str, ...] = ("runs/replication",), document: str | None = None, run: NoRun = NO_RUN
) -> Replication:
    """Judge each claim of [N] by the runs of `replicate` and of the studies below some folders, and write the page.

    Args:
        runs: folders at or below which the runs lie.
        document: where the page goes (its figures into `images/` beside it), if anywhere.
        run: where the result is shown.

    Raises:
        InvalidArgumentError: a folder is not there, holds no run, or its runs must not be averaged.
    """
    found = find(runs)
    # Refuses what must not be averaged.
    gathered([one for one in found if "network" in one.config], by=["network", "tasks.name"])
    judged = [*verdicts(found), *needed.verdicts(cells(found))]
    result = run.show(Replication(tuple(judged), found))
    if document is not None:
        write_page(Path(document), found, judged)
        run.say(f"page         {document}")
    return result
