"""50 alignments over one GRU of width 20: five variables, two functions, five seeds.

Run: python -m benchmarks.sweep
"""

import time
from itertools import product

import torch

from benchmarks.timing import THREADS, report
from numsym.alignment import Hypothesis, align_many
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import MultiObject
from numsym.training import train

VARIABLES = (
    ("up_down", "count"), ("up_down", "phase"), ("up_down", "full"), ("up_up", "demo_count"), ("up_up", "resp_count"),
)  # fmt: skip
# As numsym experiment=replicate network=gru_20 searches.
SEARCH = {"max_steps": 1500, "batch_size": 64, "learning_rate": 0.003, "patience": 5}


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    task = MultiObject()
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=20))
    train(model, task, learning_rate=5e-4)
    grid = product(VARIABLES, ("orthogonal", "linear"), range(5))
    hypotheses = [Hypothesis(*variable, function, 8, seed) for variable, function, seed in grid]
    started = time.perf_counter()
    results = align_many(model, task, hypotheses, controls=("floor", "ceiling"), search=SEARCH)
    seconds = time.perf_counter() - started
    row = {"work": "50 alignments, GRU 20, floor and ceiling with them", "seconds": seconds, "target": "< 300"}
    report("sweep", [{**row, "steps": sum(r.steps for r in results), "converged": sum(r.converged for r in results)}])


if __name__ == "__main__":
    main()
