"""The default search, judged: against [N]'s, against a pilot, and the conditional function by itself."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.search.cells import FUNCTIONS, Row, network, searched
from benchmarks.search.settings import BEFORE
from benchmarks.timing import report
from numsym.tasks import TASKS

TASK_NAMES = ("multi_object", "single_object", "same_object")
GRANT: dict[str, Any] = {
    "max_steps": 6000, "learning_rate": 1e-3, "schedule": "constant", "starts": "random", "check_every": 100,
    "patience": 10, "batch_size": 128, "wrong_share": 0.0, **BEFORE,
}  # fmt: skip
WIDTHS, SEEDS = ((20, 10), (128, 16)), (0, 1, 2)
"""Width and k, and the seeds, of the conditional function's GRUs."""


def judge(numbers: Sequence[int] = tuple(range(1, 9))) -> None:
    """The default against [N]'s: GRUs of width 20 on the three tasks, and two of width 128."""
    rows: list[Row] = []
    small = [(name, 20, 10, seed) for name, seed in product(TASK_NAMES, (1, 2))]
    networks = [*small, ("multi_object", 128, 16, 1), ("same_object", 128, 16, 1)]
    for name, width, k, seed in (networks[number - 1] for number in numbers):
        task = TASKS[name]()
        model = network(task, width, seed)
        for function in ("orthogonal", "linear"):
            (old,), slow, _ = searched(model, task, k, [function], GRANT, seed=seed)
            (new,), fast, course = searched(model, task, k, [function], {}, seed=seed)
            (spread,), *_ = searched(model, task, k, [function], {"tries": 3}, seed=seed)
            goal = max(float(record["iia"]) for record in old.records)
            there = next((at for at, iia in course if iia >= goal), float("inf"))
            if max(new.starts.values()) >= goal:  # before any step
                there = min(there, course[0][0] if course else fast)
            ends = spread.ends.values()
            rows.append({"work": f"{name}, width {width}, seed {seed}, {function}", "[N] IIA": 100 * old.iia,
                         "[N] s": slow, "IIA": 100 * new.iia, "s": fast, "s to [N]'s end": there,
                         "lower": new.test.iia.high < old.test.iia.low,
                         "spread": 100 * (max(ends) - min(ends))})  # fmt: skip
            print(rows[-1], new.starts, new.ends, flush=True)
    report("search", rows, whole=len(set(numbers)) == len(networks))


def table(numbers: Sequence[int] = (1, 2, 3, 4, 5, 6)) -> None:
    """Six rows on networks of seed 0, each with the best IIA that any start and any number of steps had in a pilot."""
    rows: list[Row] = []
    cells = (
        ("gru", 48, "multi_object", "up_down", "count", 16, 100.0),
        ("gru", 128, "multi_object", "up_down", "count", 16, 99.7),
        ("lstm", 64, "single_object", "up_down", "count", 16, 100.0),
        ("gru", 20, "multi_object", "up_up", "demo_count", 10, 81.9),
        ("gru", 20, "multi_object", "up_up", "resp_count", 10, 79.5),
        ("gru", 20, "same_object", "up_down", "count", 10, 55.7),
    )
    for cell, width, task_name, program, variable, k, best in (cells[number - 1] for number in numbers):
        task = TASKS[task_name]()
        model = network(task, width, 0, cell)
        found, seconds, _ = searched(model, task, k, FUNCTIONS, {}, variable=variable, program=program)
        iia = dict(zip(FUNCTIONS, (100 * one.iia for one in found), strict=True))
        rows.append({"work": f"{cell} {width}, {task_name}, {program}.{variable}", "before": best, **iia, "s": seconds})
        print(rows[-1], flush=True)
    report("search_table", rows, whole=len(rows) == len(cells))


def conditional(cases: Sequence[tuple[int, int, int]] = tuple((*one, s) for one in WIDTHS for s in SEEDS)) -> None:
    """Same-Object GRUs, given the phase: width, k and seed of each."""
    rows: list[Row] = []
    task = TASKS["same_object"]()
    for width, k, seed in cases:
        model = network(task, width, seed)
        (found,), seconds, _ = searched(model, task, k, ["conditional"], {}, seed=seed)
        controls = ("floor", "permuted", "untrained")
        (beside,), _, _ = searched(model, task, k, ["conditional"], {"max_steps": 100}, controls, seed=seed)
        shares = {name: 100 * share.value for name, share in beside.controls.items()}
        start = 100 * max(found.starts.values())
        rows.append({"work": f"GRU {width}, k {k}, seed {seed}", "start": start, "IIA": 100 * found.iia,
                     "held-out": 100 * float(found.heldout_iia or 0), "steps": float(found.steps), "s": seconds,
                     **shares})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_conditional", rows, whole=len(cases) == len(WIDTHS) * len(SEEDS))
