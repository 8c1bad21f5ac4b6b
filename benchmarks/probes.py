"""The batched mod-T probe against scikit-learn, fit by fit: same folds, same penalty, as many threads.

`python -m benchmarks.probes` prints the ratio of the two times, measured in one run, and writes `results/probes.json`.
For one thread, set `OMP_NUM_THREADS=1` too: scikit-learn's linear algebra looks at nothing else.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from numsym.probes import residue
from numsym.storage import write_json

NUMBERS, WIDTH, PERIODS, FOLDS, THREADS = 1000, 768, range(2, 11), 10, 2


def planted(seed: int = 0) -> torch.Tensor:
    """Number embeddings with waves of periods 2, 5 and 10 of several strengths under unit noise."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.arange(NUMBERS)[:, None]
    embeddings = torch.randn(NUMBERS, WIDTH, generator=generator)
    for period, strength in ((2, 0.10), (5, 0.07), (10, 0.05)):
        for harmonic in range(1, period // 2 + 1):
            phase = 2 * torch.pi * harmonic * numbers / period
            waves = torch.randn(2, WIDTH, generator=generator) * strength
            embeddings += phase.cos() * waves[0] + phase.sin() * waves[1]
    return embeddings


def scikit_learn(embeddings: torch.Tensor, fold: torch.Tensor, C: float) -> dict[int, float]:
    """Fit and score every period and fold by itself; return the mean kappa x 100 by period."""
    values, fold, labels = embeddings.numpy(), fold.numpy(), torch.arange(len(embeddings)).numpy()
    kappa = {}
    for period in PERIODS:
        scores = []
        for k in range(FOLDS):
            train, test = fold != k, fold == k
            mean, scale = values[train].mean(axis=0), values[train].std(axis=0)
            model = LogisticRegression(C=C, max_iter=1000).fit((values[train] - mean) / scale, labels[train] % period)
            guess = model.predict((values[test] - mean) / scale)
            scores.append(100 * cohen_kappa_score(labels[test] % period, guess))
        kappa[period] = statistics.mean(scores)
    return kappa


def measure(C: float, threads: int) -> dict:
    """Time both on the same embeddings, the batched probe three times (its median counts)."""
    embeddings = planted()
    residue(embeddings[:200], range(2, 4), FOLDS, C=C)  # threads and libraries are started before the clock
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ours = residue(embeddings, PERIODS, FOLDS, C=C)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    theirs = scikit_learn(embeddings, ours.fold, C)
    reference = time.perf_counter() - start
    return {
        "C": C,
        "numbers": NUMBERS,
        "width": WIDTH,
        "folds": FOLDS,
        "threads": threads,
        "seconds": statistics.median(times),
        "scikit_learn_seconds": reference,
        "ratio": reference / statistics.median(times),
        "largest_kappa_difference": max(abs(ours.kappa[period] - theirs[period]) for period in PERIODS),
        "kappa": {str(period): round(ours.kappa[period], 2) for period in PERIODS},
        "scikit_learn_kappa": {str(period): round(theirs[period], 2) for period in PERIODS},
        "converged": all(ours.converged.values()),
    }


def main() -> None:
    """Run the comparison, print a line a penalty and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "probes.json")
    parser.add_argument("--penalties", type=float, nargs="+", default=[0.01, 1.0], help="the C to compare at")
    parser.add_argument("--threads", type=int, default=THREADS, help="of PyTorch")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(exist_ok=True)
    torch.set_num_threads(arguments.threads)
    print(f"mod-T probe, T = 2..10, {FOLDS} folds, N = {NUMBERS}, d = {WIDTH}, {arguments.threads} threads", flush=True)
    rows = []
    for C in arguments.penalties:
        rows.append(row := measure(C, arguments.threads))
        print(
            f"C = {C:<5g} numsym {row['seconds']:.2f} s   scikit-learn {row['scikit_learn_seconds']:.2f} s   "
            f"ratio {row['ratio']:.1f}   largest kappa difference {row['largest_kappa_difference']:.2f}",
            flush=True,
        )
        write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
