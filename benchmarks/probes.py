"""The batched mod-T probe against scikit-learn, fit by fit: same folds, same penalty, as many threads.

`python -m benchmarks.probes` prints the ratio of the two times, measured in one run, and writes `results/probes.json`.
scikit-learn is timed twice: as it comes, and with a tolerance at which its predictions hardly change any more. How far
each ends above the minimum is measured beside it, on the objectives of all fits in float64. For one thread, set
`OMP_NUM_THREADS=1` too: scikit-learn's linear algebra looks at nothing else; time is then the processor's, which other
commands that run meanwhile change less than the clock's.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score

from numsym.probes import residue
from numsym.probes.fold_features import Features
from numsym.probes.logistic import TOLERANCE, solve
from numsym.storage import write_json

NUMBERS, WIDTH, PERIODS, FOLDS, THREADS = 1000, 768, range(2, 11), 10, 2

DEFAULT, EXACT = 1e-4, 1e-7
"""Tolerances of scikit-learn: its own, and one at which its kappas hardly change any more."""


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


def scikit_learn(
    embeddings: torch.Tensor, fold: torch.Tensor, C: float, tolerance: float = DEFAULT
) -> tuple[dict[int, float], list[LogisticRegression]]:
    """Fit and score every period and fold by itself; return the mean kappa x 100 by period, and the fits."""
    values, fold, labels = embeddings.numpy(), fold.numpy(), torch.arange(len(embeddings)).numpy()
    kappa, models = {}, []
    for period in PERIODS:
        scores = []
        for k in range(FOLDS):
            train, test = fold != k, fold == k
            mean, scale = values[train].mean(axis=0), values[train].std(axis=0)
            model = LogisticRegression(C=C, max_iter=10_000, tol=tolerance)
            model.fit((values[train] - mean) / scale, labels[train] % period)
            models.append(model)
            guess = model.predict((values[test] - mean) / scale)
            scores.append(100 * cohen_kappa_score(labels[test] % period, guess))
        kappa[period] = statistics.mean(scores)
    return kappa, models


def objectives(
    embeddings: torch.Tensor, fold: torch.Tensor, C: float, models: list[LogisticRegression]
) -> dict[str, torch.Tensor]:
    """The objective of every period and fold in float64: solved here, far closer, and by scikit-learn."""
    labels = torch.stack([torch.arange(NUMBERS) % period for period in PERIODS])
    training = fold[None, :] != torch.arange(FOLDS)[:, None]
    features, found = Features.of(embeddings, training), {}
    for name, tolerance in (("numsym", TOLERANCE), ("minimum", TOLERANCE / 100)):
        point = solve(features, labels, tuple(PERIODS), C, tolerance=tolerance).point.double()
        width = features.scales.axes.shape[1]
        weights = point[:, :, :width] @ features.scales.axes.double().mT
        squares = (weights.square() * (1 + features.scales.excess.double())[:, None]).sum(dim=2)
        logits = features.rows.double() @ point.mT
        values, start = [], 0
        for label, period in zip(labels, PERIODS, strict=True):
            columns = slice(start, start := start + period)
            loss = torch.nn.functional.cross_entropy(logits[..., columns].mT, label.expand(FOLDS, -1), reduction="none")
            # With two classes scikit-learn has one weight vector, the difference of ours.
            times = 2 if period == 2 else 1
            values.append(C * (loss * training).sum(dim=1) + times * 0.5 * squares[:, columns].sum(dim=1))
        found[name] = torch.stack(values)
    theirs = []
    for i, model in enumerate(models):
        label, rows = labels[i // FOLDS], training[i % FOLDS]
        part = embeddings[rows]
        standard = ((part - part.mean(dim=0)) / part.std(dim=0, correction=0)).double()
        scores = torch.from_numpy(model.decision_function(standard.numpy()))
        scores = torch.stack([-scores / 2, scores / 2], dim=1) if scores.ndim == 1 else scores
        loss = torch.nn.functional.cross_entropy(scores, label[rows], reduction="sum")
        theirs.append(C * loss + 0.5 * torch.from_numpy(model.coef_).double().square().sum())
    return {**found, "scikit_learn": torch.stack(theirs).view(-1, FOLDS)}


def measure(C: float, threads: int) -> dict:
    """Time both on the same embeddings, the batched probe three times (its median counts)."""
    embeddings = planted()
    residue(embeddings[:200], range(2, 4), FOLDS, C=C)  # threads and libraries are started before the clock
    clock = time.process_time if threads == 1 else time.perf_counter
    times, theirs, taken, models = [], {}, {}, {}
    for _ in range(3):
        start = clock()
        ours = residue(embeddings, PERIODS, FOLDS, C=C)
        times.append(clock() - start)
    for tolerance in (DEFAULT, EXACT):
        start = clock()
        theirs[tolerance], models[tolerance] = scikit_learn(embeddings, ours.fold, C, tolerance)
        taken[tolerance] = clock() - start
    seconds = statistics.median(times)
    apart = {one: max(abs(ours.kappa[T] - found[T]) for T in PERIODS) for one, found in theirs.items()}
    reached = objectives(embeddings, ours.fold, C, models[DEFAULT])
    above = {name: (reached[name] / reached["minimum"] - 1).mean().item() for name in ("numsym", "scikit_learn")}
    return {
        "C": C,
        "numbers": NUMBERS,
        "width": WIDTH,
        "folds": FOLDS,
        "threads": threads,
        "seconds": seconds,
        "scikit_learn_seconds": taken[DEFAULT],
        "ratio": taken[DEFAULT] / seconds,
        "largest_kappa_difference": apart[DEFAULT],
        "exact_scikit_learn_seconds": taken[EXACT],
        "exact_ratio": taken[EXACT] / seconds,
        "exact_largest_kappa_difference": apart[EXACT],
        "above_minimum": above,
        "kappa": {str(period): round(ours.kappa[period], 2) for period in PERIODS},
        "scikit_learn_kappa": {str(period): round(theirs[DEFAULT][period], 2) for period in PERIODS},
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
        print(f"C = {C:<5g} numsym {row['seconds']:.2f} s", flush=True)
        for name, key in (("as it comes", ""), (f"tol = {EXACT:g}", "exact_")):
            print(
                f"  scikit-learn, {name}: {row[key + 'scikit_learn_seconds']:.2f} s   ratio {row[key + 'ratio']:.1f}   "
                f"largest kappa difference {row[key + 'largest_kappa_difference']:.2f}",
                flush=True,
            )
        above = row["above_minimum"]
        print(
            f"  above the minimum: numsym {above['numsym']:.1e}, scikit-learn {above['scikit_learn']:.1e}", flush=True
        )
        write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
