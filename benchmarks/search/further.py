"""What else the search does: near natural states, between two networks, and in the verdicts of `compare`."""

import time
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import torch

import numsym
from benchmarks.search.cells import Row, network, searched
from benchmarks.timing import report
from numsym.alignment import AlignmentResult, Hypothesis, measured_pairs
from numsym.alignment.engines.cross import Side
from numsym.alignment.explain import diverging
from numsym.tasks import TASKS


def latent(numbers: Sequence[int] = (1, 2)) -> None:
    """What the latent loss does to IIA, and to how far exchanged states lie from natural ones.

    Two distances: from the mean state of the counterfactual's values, as a share of the base's own; and from the
    nearest natural state, beside that of natural ones, by which verdicts go.
    """
    rows: list[Row] = []
    names = [("multi_object", "same_object")[number - 1] for number in numbers]
    for name, function, weight in product(names, ("linear", "conditional"), (0.0, 0.1, 1.0)):
        task = TASKS[name]()
        model = network(task, 20, 1)
        (found,), _, _ = searched(model, task, 10, [function], {"cl_weight": weight, "max_steps": 300}, seed=1)
        away = diverging(found, measured_pairs(task, Hypothesis(variable="count", subspace_dim=10, seed=1)))
        rows.append({"work": f"{name}, {function}, weight {weight:g}", "IIA": 100 * found.iia,
                     "from the mean": distance(found, model, task), "from the nearest": away.nearest,
                     "natural ones": away.natural_nearest})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_latent", rows, whole=len(names) == 2)


def verdicts(numbers: Sequence[int] = (1, 2, 3)) -> None:
    """What `compare` says of GRUs of width 20 that its weight of the latent loss was not chosen on, and without it.

    Of each program its worst variable's IIA and how much farther than natural states its exchanged ones are from these.
    """
    rows: list[Row] = []
    cells = (("single_object", 1), ("multi_object", 2), ("multi_object", 1))
    for (name, seed), weight in product((cells[number - 1] for number in numbers), (0.1, 0.0)):
        task, programs = TASKS[name](), ["up_down", "up_up"]
        options: dict[str, Any] = {"subspace_dim": 10, "full": False, "search": {"cl_weight": weight}, "seed": seed}
        found = numsym.compare(network(task, 20, seed), task, programs, **options)
        row: Row = {"work": f"{name}, seed {seed}, weight {weight:g}"}
        for verdict in sorted(found.verdicts, key=lambda one: programs.index(one.program)):
            of = [one for one in found.hypotheses if one.program == verdict.program]
            away = [one.divergence.nearest - one.divergence.natural_nearest for one in of if one.divergence]
            row |= {verdict.program: verdict.verdict, f"{verdict.program} IIA": 100 * verdict.iia.value,
                    f"{verdict.program} away": max(away)}  # fmt: skip
        rows.append(row)
        print(row, [one.why for one in found.verdicts], flush=True)
    report("search_verdicts", rows, whole=len(set(numbers)) == len(cells))


def across(numbers: Sequence[int] = (1, 2, 3)) -> None:
    """A count exchanged between each two of three GRUs of width 20, as `numsym.cross_model` does it."""
    sides = []
    for name, seed in (("multi_object", 0), ("multi_object", 1), ("single_object", 0)):
        task = TASKS[name]()
        sides.append(Side(f"{name}-{seed}", network(task, 20, seed), task))
    both, rows = list(combinations(sides, 2)), list[Row]()
    alone = [("linear", 300), ("linear", 1000), ("orthogonal", 300)]
    courses = [(*one, start, 1) for one in alone for start in ("random", "fitted")] + [("linear", 1000, "fitted", 2)]
    for number, (function, steps, start, tries) in product(numbers, courses):
        first, second = both[number - 1]
        asked = [Hypothesis(variable="count", alignment=function, subspace_dim=10)]
        search, began = {"starts": start, "max_steps": steps, "tries": tries}, time.process_time()
        (found,) = numsym.cross_model([first, second], asked, search=search, controls=("floor",)).across
        iia = {
            name: 100 * share.value
            for name, share in zip(("1->1", "2->1", "1->2", "2->2"), found.iia.values(), strict=True)
        }
        before = 100 * max(found.starts.values(), default=0.0)
        said = f"{function}, {start}{' and random' if tries > 1 else ''}, {steps} steps"
        rows.append({"work": f"{first.name}, {second.name}, {said}", "start": before,
                     **iia, "s": time.process_time() - began})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_across", rows, whole=len(set(numbers)) == len(both))


@torch.no_grad()
def distance(found: AlignmentResult, model: torch.nn.Module, task: numsym.tasks.Task) -> float:
    """Root mean square of x - t, t the mean natural state of the counterfactual's values, over that of h - t."""
    from numsym.alignment.drawn import PairCounts
    from numsym.alignment.one_model import OneModel
    from numsym.alignment.starts import natural_means
    from numsym.models import Site

    subject = OneModel(model, task, Site.of("state"), PairCounts(4000, 50, 50), None, "auto")
    asked = Hypothesis(variable="count", seed=99).of(task)
    seen = subject.seen(asked, subject.draw(asked).train)
    mean, known = natural_means(seen)
    made = found.intervention(seen.base.float(), seen.source.float()).double()
    return ((made - mean)[known].square().mean() / (seen.base - mean)[known].square().mean()).sqrt().item()
