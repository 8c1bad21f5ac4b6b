"""`make faults`: what is done to numsym on purpose, and how often it comes through. Prints a table, tried and passed.

Kills (`kills`), damage (`damage`), files with code in them and tracking that fails (`hostile`), wrong values
(`contract`). Everything is seeded. What was tried stands in a log, a line a trial, so that a campaign that was stopped,
or that `--minutes` ended, goes on where it was:

python tests/faults/campaign.py --log runs/faults.jsonl --minutes 15 --only sweep:random :damage
"""

import argparse
import json
import logging
import os
import runpy
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from damage import damages
from disk import disks
from hostile import executions, tracking
from kills import Trial, operation_kills, random_kills
from small import STUDIES, SWEEP
from transformers.utils.logging import disable_progress_bar

Row = Callable[[Path], Iterator[Trial]]


def shared(kills: int) -> dict[str, int]:
    """The kills at random moments, shared out among studies and the sweep."""
    runs = [SWEEP, *STUDIES]
    return {f"{one}:random": kills // len(runs) + (i < kills % len(runs)) for i, one in enumerate(runs)}


def rows(shares: dict[str, int], most: dict[str, int], seed: int) -> dict[str, Row]:
    """Everything that is tried, by name."""
    made: dict[str, Row] = {"executions": executions, "tracking": tracking, "disk": disks}
    made |= {f"{one}:damage": partial(damages, one, most["damages"], seed) for one in STUDIES}
    made |= {row: partial(random_kills, row.partition(":")[0], share, seed) for row, share in shares.items()}
    made |= {f"{one}:operations": partial(operation_kills, one, most["operations"], seed) for one in (SWEEP, *STUDIES)}
    return made


class Log:
    """What was tried, a line each; a row that has ended has a line without a trial."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def add(self, row: str, trial: str | None, tried: int = 0, passed: int = 0, said: str = "") -> None:
        """Write a line."""
        self.lines.append({"row": row, "trial": trial, "tried": tried, "passed": passed, "said": said})
        with open(self.path, "a") as file:
            file.write(json.dumps(self.lines[-1]) + "\n")

    def has(self, row: str, trial: str | None) -> bool:
        """Whether it was tried; without a trial, whether the row has ended."""
        return any(line["row"] == row and line["trial"] == trial for line in self.lines)

    def count(self, row: str) -> int:
        """How many trials there were."""
        return sum(line["row"] == row and line["trial"] is not None for line in self.lines)

    def table(self) -> str:
        """Tried and passed by row, then what failed."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.lines:
            if line["trial"] is not None:
                found.setdefault(line["row"], []).append(line)
        said = ["| what | tried | passed |", "| --- | ---: | ---: |"]
        said += [
            f"| {row} | {sum(x['tried'] for x in lines)} | {sum(x['passed'] for x in lines)} |"
            for row, lines in found.items()
        ]
        bad = [f"- {x['row']} {x['trial']}: {x['said']}" for x in self.lines if x["passed"] < x["tried"]]
        return "\n".join([*said, "", *bad])


def campaign(made: dict[str, Row], shares: dict[str, int], log: Log, until: float) -> None:
    """Try what the log has not, row by row, until the time is up."""
    for row, trials in made.items():
        if log.has(row, None) or (row.endswith(":random") and log.count(row) >= shares[row]):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                for name, trial in trials(Path(scratch)):
                    if log.has(row, name):
                        continue
                    if time.monotonic() > until:
                        return
                    fault = trial()
                    log.add(row, name, 1, int(not fault), fault)
            except Exception as error:
                log.add(row, "itself", 1, 0, f"{type(error).__name__}: {error}")
        if not row.endswith(":random"):  # of which a later start may ask for more
            log.add(row, None)


def inputs(tries: int, log: Log) -> None:
    """Generated wrong values for every public callable."""
    counts, failed = runpy.run_path(str(Path(__file__).with_name("contract.py")))["campaign"](tries)
    total, wrong = sum(counts.values()), counts.get("failed", 0)
    said = "; ".join(f"{call}: {what}" for call, what in sorted(failed.items()))
    log.add("inputs", str(tries), total, total - wrong, said)
    log.add("inputs", None)


def main() -> None:
    """Try, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="at random moments, over all studies and a sweep")
    parser.add_argument("--operations", type=int, default=1000, help="the most file operations of a study, by chance")
    parser.add_argument("--damages", type=int, default=1000, help="the most damaged files of a study, by chance")
    parser.add_argument("--inputs", type=int, default=2000, help="wrong values")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="ends of rows' names: disk, align:random, :damage")
    parser.add_argument("--log", type=Path, default=Path("runs/faults.jsonl"))
    parser.add_argument("--minutes", type=float, default=1e6, help="after which no further trial begins")
    given = parser.parse_args()
    import numsym  # noqa: F401  (before the first fork)

    logging.disable(logging.WARNING)
    disable_progress_bar()
    os.environ |= {"WANDB_MODE": "disabled", "WANDB_SILENT": "true", "HF_HUB_OFFLINE": "1"}
    log = Log(given.log)
    shares = shared(given.kills)
    made = rows(shares, {"operations": given.operations, "damages": given.damages}, given.seed)
    wanted = {name: row for name, row in made.items() if not given.only or name.endswith(tuple(given.only))}
    campaign(wanted, shares, log, time.monotonic() + 60 * given.minutes)
    if (not given.only or "inputs" in given.only) and not log.has("inputs", None):
        inputs(given.inputs, log)
    print(log.table())


if __name__ == "__main__":
    main()
