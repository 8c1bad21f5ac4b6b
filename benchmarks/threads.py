"""A step of the search by one and by two threads, with the cores left to it and with other programs on them.

python -m benchmarks.threads
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable

import torch

import numsym
from benchmarks.timing import report
from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts, Site
from numsym.alignment.drawn import Drawn
from numsym.alignment.engines.choice import engine_for
from numsym.alignment.functions import build


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def step(width: int, route: str) -> Callable[[], object]:
    """One step of a search with a LAF, batch 128, forward and backward."""
    task = numsym.tasks.MultiObject()
    torch.manual_seed(0)
    config = numsym.models.RecurrentConfig(cell="gru", vocab_size=task.vocab_size, hidden_size=width)
    model = numsym.models.RecurrentLM(config).requires_grad_(False)
    pairs = Drawn.draw(task, Hypothesis("up_down", "count"), PairCounts(256, 20, 20), None).train
    engine = engine_for(model, Site(), [build("linear", width, 8, 1, 0)], route)
    with frozen(model):
        prepared = engine.prepare(pairs)
    rows = torch.arange(128)
    return lambda: engine.measure([prepared], [rows], [0])[0].sum().backward()


def median(work: Callable[[], object], repeats: int = 15) -> float:
    """Milliseconds."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * sorted(times)[repeats // 2]


if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, str | float | bool]] = []
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(cores if "busy" in sys.argv else 0)]
    for other in others:
        other.start()
    for width, route in ((20, "resumed"), (128, "resumed"), (128, "pyvene")):
        work, found = step(width, route), {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found[threads] = median(work)
        ratio = found[2] / found[1]
        rows.append({"work": f"GRU {width}, {route}", "load": os.getloadavg()[0], "1 thread, ms": found[1],
                     "2 threads, ms": found[2], "ratio": ratio})  # fmt: skip
    for other in others:
        other.terminate()
    report("threads", rows)
