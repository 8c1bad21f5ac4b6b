"""How the benchmarks measure: alternately, several times, the best of each; results as a table and as JSON."""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
THREADS = 2


def best(
    work: dict[str, Callable[[], object]], repeats: int = 7, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Seconds of the fastest run of each piece of work, run in turn so that noise meets all of them alike.

    With `clock=time.process_time` they are CPU seconds, which other work on the machine changes less.
    """
    for run in work.values():
        run()
    times = {name: float("inf") for name in work}
    for _ in range(repeats):
        for name, run in work.items():
            started = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name] = min(times[name], clock() - started)
    return times


def report(name: str, rows: list[dict[str, str | float | bool]], whole: bool = True) -> None:
    """Print a table of rows with the same keys, and write them with the machine's description.

    Without `whole` they are a part of the benchmark: rows of other work stay in the file as an earlier run wrote them.
    """
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading == "work" else "right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=110).print(table)
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    machine["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    path, done = RESULTS / f"{name}.json", {row["work"] for row in rows}
    if not whole and path.exists():
        rows = [row for row in json.loads(path.read_text())["rows"] if row["work"] not in done] + rows
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
