"""Settings of the search, compared on networks of seed 0: rates, schedules, batches, steps, tries, wrong pairs."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.search.cells import FUNCTIONS, Row, network, searched
from benchmarks.timing import report
from numsym.alignment import AlignmentResult
from numsym.tasks import TASKS

BEFORE: dict[str, Any] = {"warm_up": 0, "beta2": 0.999, "average": 0}
"""The descent that the first comparisons were made with: Adam as torch has it, and the parameters of the last step."""


def choose() -> None:
    """Rates, schedules, batches and steps, on networks of seed 0; the four functions in one batch."""
    first = {"learning_rate": 1e-2, "schedule": "cosine", "max_steps": 500, "batch_size": 128, "tries": 1,
             "wrong_share": 0.0, **BEFORE}  # fmt: skip
    changes: list[dict[str, Any]] = [
        {}, {"learning_rate": 3e-3}, {"learning_rate": 3e-2}, {"schedule": "constant"},
        {"learning_rate": 1e-3, "schedule": "constant"}, {"batch_size": 64}, {"batch_size": 64, "max_steps": 1000},
        {"batch_size": 256}, {"max_steps": 1000}, {"tries": 2},
    ]  # fmt: skip
    report("search_choose", compared(first, changes))


def wrong() -> None:
    """Shares of a batch that may be pairs that were wrong, with the default's rate; by the criterion of `choose`."""
    first = {"learning_rate": 3e-2, "schedule": "cosine", "max_steps": 500, "batch_size": 128, "tries": 1, **BEFORE}
    report("search_wrong", compared(first, [{"wrong_share": share} for share in (0.0, 0.25, 0.5)]))


def wide() -> None:
    """The course of a LAF at a wide site: validation IIA at its start and every 100 steps, and what it ends at."""
    task = TASKS["single_object"]()
    model, rows = network(task, 128, 1), []
    for rate in (3e-2, None, 5e-3):
        search = {"learning_rate": rate, "tries": 1, "max_steps": 400}
        (found,), seconds, _ = searched(model, task, 16, ["linear"], search, seed=1, pairs={"train": 4000})
        course = {f"{r['step']} steps": 100 * r["iia"] for r in found.records if r["step"] % 100 == 0}
        rows.append({"work": f"GRU 128, {said(rate)}", **course, "IIA": 100 * found.iia, "s": seconds})
    report("search_wide", rows)


def said(rate: float | None) -> str:
    """A rate in words."""
    return "rate by width" if rate is None else f"rate {rate:g}"


def rates(numbers: Sequence[int] = (1, 2, 3)) -> None:
    """The default's rate at wide sites, and that of narrow ones: how high, and how soon at 95."""
    rows: list[Row] = []
    cells = (("gru", 128, "single_object", 1), ("gru", 128, "multi_object", 0), ("lstm", 64, "single_object", 0))
    for (cell, width, name, seed), function in product((cells[n - 1] for n in numbers), ("linear", "orthogonal")):
        task = TASKS[name]()
        model = network(task, width, seed, cell)
        for rate in (3e-2, None):
            (found,), seconds, course = searched(model, task, 16, [function], {"learning_rate": rate}, seed=seed)
            there = next((at for at, iia in course if iia >= 0.95), float("inf"))
            early = {f"{r['step']} steps": 100 * r["iia"] for r in found.records if r["step"] in (0, 100, 200)}
            early = {key: early.get(key, float("nan")) for key in ("0 steps", "100 steps", "200 steps")}
            work = f"{cell} {width} {name}, seed {seed}, {function}, {said(rate)}"
            rows.append({"work": work, **early, "IIA": 100 * found.iia, "s to 95": there, "s": seconds})  # fmt: skip
            print(rows[-1], flush=True)
    report("search_rates", rows, whole=len(set(numbers)) == len(cells))


def compared(first: dict[str, Any], changes: list[dict[str, Any]]) -> list[Row]:
    """What the four functions reach in one batch with each change of some settings."""
    rows: list[Row] = []
    for name, change in product(("multi_object", "same_object"), changes):
        task = TASKS[name]()
        one = first | change
        found, seconds, _ = searched(network(task, 20, 0), task, 10, FUNCTIONS, one)
        iia = [100 * each.iia for each in found]
        words = f"{one['schedule']} {one['learning_rate']:g}, batch {one['batch_size']}, {one['max_steps']} steps"
        tries = ", 2 tries" if one["tries"] == 2 else ""
        share = f", {one['wrong_share']:g} wrong" if one["wrong_share"] else ""
        rows.append({"work": f"{name}, {words}{tries}{share}", **dict(zip(FUNCTIONS, iia, strict=True)),
                     "mean": sum(iia) / len(iia), "s": seconds})  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def descent(numbers: Sequence[int] = (1, 2, 3, 4)) -> None:
    """The rise of the rate, Adam's memory, the mean of parameters; one try, networks of seed 0.

    *course* is the mean over the functions and the checks of the validation IIA: what comes sooner has it higher.
    """
    now: dict[str, Any] = {"warm_up": 10, "beta2": 0.95, "average": 0.96}
    changes: dict[str, dict[str, Any]] = {
        "before": BEFORE, "warm-up": BEFORE | {"warm_up": 10}, "average": BEFORE | {"average": 0.96},
        "beta2": BEFORE | {"beta2": 0.95}, "all three": now, "all, average 0.9": now | {"average": 0.9},
        "all, twice the rate": now | {"double": True}, "all, 300 steps": now | {"max_steps": 300},
    }  # fmt: skip
    cells = (("gru", 20, "multi_object", 10), ("gru", 20, "single_object", 10), ("gru", 20, "same_object", 10),
             ("lstm", 64, "single_object", 16))  # fmt: skip
    rows: list[Row] = []
    for (cell, width, name, k), (words, change) in product((cells[n - 1] for n in numbers), changes.items()):
        task, one = TASKS[name](), {"tries": 1, **change}
        model = network(task, width, 0, cell)
        if one.pop("double", False):
            one["learning_rate"] = 2 * 3e-2 * min(1.0, 50 / (width * (2 if cell == "lstm" else 1)))
        found, seconds, _ = searched(model, task, k, FUNCTIONS, one)
        iia = [100 * each.iia for each in found]
        course = [100 * course_of(each) for each in found]
        rows.append({"work": f"{cell} {width} {name}, {words}", **dict(zip(FUNCTIONS, iia, strict=True)),
                     "mean": sum(iia) / len(iia), "course": sum(course) / len(course), "s": seconds})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_descent", rows, whole=len(set(numbers)) == len(cells))


def course_of(found: AlignmentResult, most: int = 20) -> float:
    """The mean validation IIA over the first checks after the start; a search that is done stays where it ended."""
    iia = [float(record["iia"]) for record in found.records if record["step"] > 0][:most]
    return sum(iia + [iia[-1]] * (most - len(iia))) / most
