"""Many run folders as one table: what each run was, what it found or why it did not, and means over seeds.

A mean is over runs that differ in nothing but their seed. Whatever else differs between the runs of one mean, or
between the versions of the packages that made any two of them, is an error that names it, unless it is allowed.
"""

from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.collect.folders import Run, find
from numsym.studies.collect.means import differences, gathered
from numsym.studies.collect.table import Table
from numsym.studies.collect.written import cell, to_parquet

__all__ = ["Run", "Table", "cell", "collect", "differences", "find", "gathered", "to_parquet"]


@study
def collect(
    *, runs: tuple[str, ...], by: tuple[str, ...] | None = None, allow_mixed: bool = False, run: NoRun = NO_RUN
) -> Table:
    """Gather run folders into one table: means, intervals and n over seeds, as parquet and as Markdown.

    Args:
        runs: folders at or below which the runs lie.
        by: see `gathered` for this and the next.
        allow_mixed: whether different configurations or versions may stand in one mean.
        run: where the table is kept and shown.
    """
    found = gathered(find(runs, whole=False), by=by, allow_mixed=allow_mixed)
    return run.show(run.keep("table", lambda: found, Table.load))
