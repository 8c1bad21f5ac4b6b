"""Sampling and tracing. Run: python -m benchmarks.tasks."""

import torch

from benchmarks.timing import THREADS, best, report
from numsym.tasks import TASKS


def main() -> None:
    torch.set_num_threads(THREADS)
    rows = []
    for name in ("multi_object", "single_object", "same_object"):
        task = TASKS[name](void_prob=0.2)
        generator = torch.Generator().manual_seed(0)

        def both(task=task, generator=generator):
            return task.trace("up_up", task.sample(10_000, generator=generator))

        seconds = best({"sample": both}, repeats=5)["sample"]
        rows.append({"work": f"10,000 trials of {name} with two traces", "seconds": seconds, "target": "< 1 s"})
    report("tasks", rows)


if __name__ == "__main__":
    main()
