"""Training on Multi-Object until every trial is right, on all twenty counts. Run: python -m benchmarks.training.

Transformers get void tokens ([N] section 3), so that position does not give the count away. With words after it,
only the networks whose names hold one of them are trained: python -m benchmarks.training rotary
"""

import sys
from typing import Any

import torch

from benchmarks.timing import THREADS, report
from numsym.models import build
from numsym.tasks import MultiObject
from numsym.training import evaluate, train

RECURRENT = (("gru", 20, 2e-3), ("gru", 128, 1e-3), ("lstm", 20, 2e-3), ("lstm", 128, 1e-3))
POSITIONS = ("rotary", "learned", "none")


def main() -> None:
    torch.set_num_threads(THREADS)
    rows = []
    for cell, width, rate in RECURRENT:
        shape, settings = {"cell": cell, "hidden_size": width}, {"learning_rate": rate, "steps": 5000}
        rows += [trained(f"{cell} {width}, seed {seed}", shape, seed, MultiObject(), settings) for seed in (0, 1)]
    for positions in POSITIONS:
        shape = {"architecture": "transformer", "positions": positions}
        task, settings = MultiObject(void_prob=0.2), {"learning_rate": 1e-3, "steps": 400, "schedule": "linear"}
        seeds = (0, 1) if positions == "rotary" else (0,)
        rows += [trained(f"transformer 128, {positions}, seed {seed}", shape, seed, task, settings) for seed in seeds]
    report("training", [row for row in rows if row], whole=not sys.argv[1:])


def trained(name: str, shape: dict[str, Any], seed: int, task: MultiObject, settings: dict[str, Any]) -> dict[str, Any]:
    if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
        return {}
    torch.manual_seed(seed)
    model = build(task.vocab_size, **shape)
    log = train(model, task, seed=seed, **settings)
    result = evaluate(model, task)
    row = {"work": name, "steps": log.steps, "seconds": log.seconds, "reached": log.reached}
    return {**row, "accuracy": result.accuracy, "held-out": result.held_out}


if __name__ == "__main__":
    main()
