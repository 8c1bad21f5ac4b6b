"""How long the Clock and Pizza measures take, and training a modular adder: `python -m benchmarks.circuits [--train]`.

The networks are untrained ones of the published shape: the time does not depend on the weights. Each measure is the
median of five calls after one that is not counted. `--train` adds the one-layer network of [P] at p = 59, until every
held-out pair is right.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch

from numsym.circuits import (
    circuit_metrics,
    circularity,
    distance_irrelevance,
    fit_circles,
    gradient_symmetricity,
    rotation_table,
)
from numsym.circuits.symmetricity import drawn_triples
from numsym.models import ModularTransformer
from numsym.models.adders import build_modular
from numsym.tasks import ModularAddition
from numsym.training.modular import first_right, train_modular

P = 59


def median(call: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of one call."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def one_by_one(model: ModularTransformer) -> float:
    """Gradient symmetricity as a loop over triples: one forward and one backward pass each."""
    table, cosines = model.embed.weight.detach(), []
    for a, b, c in drawn_triples(P, 100, 42).tolist():
        leaves = table[[a, b]].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(inputs_embeds=leaves[None]).logits[0, -1, c], leaves)
        cosines.append(torch.cosine_similarity(gradient[0], gradient[1], dim=0).item())
    return sum(cosines) / len(cosines)


def circles(model: ModularTransformer) -> None:
    """Put six circles into the embeddings, so that there is something to fit."""
    t = torch.arange(P)[:, None] * (2 * torch.pi / P)
    waves = [
        size * f(k * t) for size, k in zip(range(6, 0, -1), range(1, 7), strict=True) for f in (torch.cos, torch.sin)
    ]
    with torch.no_grad():
        model.embed.weight[:, :12] = torch.cat(waves, 1)


def rows(train: bool) -> Iterator[tuple[str, str]]:
    """What was measured, and how long it took."""
    task = ModularAddition(p=P)
    model = build_modular(task, alpha=0.5)
    assert isinstance(model, ModularTransformer)
    batched = median(lambda: gradient_symmetricity(model))
    looped = median(lambda: one_by_one(model))
    yield "gradient symmetricity, 100 triples", f"{1000 * batched:.0f} ms ({looped / batched:.0f} times a loop)"
    three = batched + median(lambda: distance_irrelevance(model)) + median(lambda: circularity(model))
    yield "all three metrics", f"{1000 * three:.0f} ms"
    every = median(lambda: gradient_symmetricity(model, triples="all"), 1)
    yield f"gradient symmetricity, all {P**3} triples", f"{every:.2f} s"
    circles(model)
    yield "logit FVE of six circles, alone and by removal", f"{median(lambda: fit_circles(model)):.2f} s"
    yield "turning six circles, 5 shifts", f"{median(lambda: rotation_table(model, shifts=range(1, 6)), 1):.1f} s"
    if train:
        model = build_modular(task, alpha=1.0)
        settings = {"epochs": 3000, "log_every": 50, "patience": 1}
        log = train_modular(model, task, settings, measure=lambda net: asdict(circuit_metrics(net)))
        yield f"training to 100 % of held-out pairs (epoch {first_right(log)})", f"{log.seconds:.0f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| what | time |\n| --- | --- |")
    for what, took in rows(arguments.train):
        print(f"| {what} | {took} |", flush=True)


if __name__ == "__main__":
    main()
