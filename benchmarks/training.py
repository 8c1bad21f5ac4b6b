"""Training on Multi-Object until every trial is right, on all twenty counts. Run: python -m benchmarks.training."""

import torch

from benchmarks.timing import THREADS, report
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import MultiObject
from numsym.training import evaluate, train


def main() -> None:
    torch.set_num_threads(THREADS)
    task, rows = MultiObject(), []
    for cell, width, rate in (("gru", 20, 2e-3), ("gru", 128, 1e-3), ("lstm", 20, 2e-3), ("lstm", 128, 1e-3)):
        for seed in (0, 1):
            torch.manual_seed(seed)
            model = RecurrentLM(RecurrentConfig(cell=cell, vocab_size=task.vocab_size, hidden_size=width))
            log = train(model, task, seed=seed, learning_rate=rate, steps=5000)
            result = evaluate(model, task)
            row = {"work": f"{cell} {width}, seed {seed}", "steps": log.steps, "seconds": log.seconds}
            rows.append({**row, "reached": log.reached, "accuracy": result.accuracy, "held-out": result.held_out})
    report("training", rows)


if __name__ == "__main__":
    main()
