"""The search against [N]'s: how high it ends, how soon it is where [N]'s ends, how far its starts end apart.

    python -m benchmarks.search choose      settings, on networks of seed 0
    python -m benchmarks.search             the default against [N]'s, on networks of seeds 1 and 2
    python -m benchmarks.search conditional the conditional function at widths 20 and 128, seeds 0 to 2, Same-Object
    python -m benchmarks.search latent      what the counterfactual latent loss does, on networks of seed 1

GRUs of width 20 on the three counting tasks, Up-Down's count, k = 10; one thread; [N]'s search stops after 6,000 steps.
Searches of one network are timed one after the other, so that a busy machine meets all alike.
"""

import sys
import time
from itertools import product
from typing import Any

import torch

import numsym
from benchmarks.timing import report
from numsym.alignment import AlignmentResult, Hypothesis
from numsym.tasks import TASKS

TASK_NAMES = ("multi_object", "single_object", "same_object")
FUNCTIONS = ("orthogonal", "linear", "low_rank", "conditional")
GRANT: dict[str, Any] = {
    "max_steps": 6000, "learning_rate": 1e-3, "schedule": "constant", "starts": "random", "check_every": 100,
    "patience": 10, "batch_size": 128,
}  # fmt: skip
Row = dict[str, str | float | bool]


def network(task: numsym.tasks.Task, width: int, seed: int, cell: str = "gru") -> torch.nn.Module:
    """A network of the counting tasks, trained."""
    torch.manual_seed(seed)
    config = numsym.models.RecurrentConfig(cell=cell, vocab_size=task.vocab_size, hidden_size=width)
    model = numsym.models.RecurrentLM(config)
    numsym.train(model, task, seed=seed)
    return model


def searched(
    model: torch.nn.Module, task: numsym.tasks.Task, k: int, search: dict[str, Any], controls: Any = False, **asked: Any
) -> tuple[AlignmentResult, float, list[tuple[float, float]]]:
    """A search, its seconds, and after how many of them validation IIA was how high."""
    course: list[tuple[float, float]] = []
    started = time.perf_counter()
    (found,) = numsym.alignment.align_many(
        model, task, [Hypothesis(variable="count", subspace_dim=k, **asked)], search=search, controls=controls,
        on_check=lambda _, record: course.append((time.perf_counter() - started, float(record["iia"]))),
    )  # fmt: skip
    return found, time.perf_counter() - started, course


def choose() -> None:
    """Rates and schedules, on networks of seed 0."""
    rows: list[Row] = []
    settings = [
        {"learning_rate": rate, "schedule": schedule, "max_steps": 400, "tries": 1, "check_every": 50}
        for rate, schedule in product((1e-3, 3e-3, 1e-2, 3e-2), ("constant", "cosine"))
    ]
    for name in TASK_NAMES:
        task = TASKS[name]()
        model = network(task, 20, 0)
        for one, function in product(settings, FUNCTIONS):
            found, seconds, _ = searched(model, task, 10, one, alignment=function)
            rows.append({"work": f"{name}, {function}, {one['schedule']} {one['learning_rate']:g}",
                         "IIA": 100 * found.iia, "s": seconds})  # fmt: skip
            print(rows[-1], flush=True)
    report("search_choose", rows)


def judge(seeds: tuple[int, ...] = (1, 2)) -> None:
    """The default against [N]'s."""
    rows: list[Row] = []
    for name, seed in product(TASK_NAMES, seeds):
        task = TASKS[name]()
        model = network(task, 20, seed)
        for function in FUNCTIONS[:2]:
            old, slow, _ = searched(model, task, 10, GRANT, alignment=function, seed=seed)
            new, fast, course = searched(model, task, 10, {}, alignment=function, seed=seed)
            goal = max(float(record["iia"]) for record in old.records)
            there = next((at for at, iia in course if iia >= goal), fast)
            if new.starts and max(new.starts.values()) >= goal:  # before any step
                there = min(there, course[0][0] if course else fast)
            rows.append({"work": f"{name} seed {seed}, {function}", "[N] IIA": 100 * old.iia, "[N] s": slow,
                         "IIA": 100 * new.iia, "s": fast, "s to [N]'s IIA": there,
                         "spread of ends": 100 * (max(new.ends.values()) - min(new.ends.values()))})  # fmt: skip
            print(rows[-1], flush=True)
    report("search", rows)


def conditional() -> None:
    """Same-Object GRUs, given the phase."""
    rows: list[Row] = []
    task = TASKS["same_object"]()
    for (width, k), seed in product(((20, 10), (128, 16)), (0, 1, 2)):
        model = network(task, width, seed)
        found, seconds, _ = searched(model, task, k, {}, alignment="conditional", seed=seed)
        beside, _, _ = searched(model, task, k, {"max_steps": 100}, ("floor", "permuted", "untrained"),
                                alignment="conditional", seed=seed)  # fmt: skip
        shares = {name: 100 * share.value for name, share in beside.controls.items()}
        rows.append({"work": f"GRU {width}, k {k}, seed {seed}", "IIA": 100 * found.iia,
                     "held-out": 100 * float(found.heldout_iia or 0), "steps": float(found.steps), "s": seconds,
                     **shares})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_conditional", rows)


def latent() -> None:
    """What the latent loss does to IIA and to the distance of exchanged states from natural ones."""
    rows: list[Row] = []
    for name, function, weight in product(TASK_NAMES, ("orthogonal", "linear", "conditional"), (0.0, 0.1, 1.0)):
        task = TASKS[name]()
        model = network(task, 20, 1)
        found, _, _ = searched(model, task, 10, {"cl_weight": weight}, alignment=function, seed=1)
        rows.append({"work": f"{name}, {function}, weight {weight:g}", "IIA": 100 * found.iia,
                     "distance": distance(found, model, task)})  # fmt: skip
        print(rows[-1], flush=True)
    report("search_latent", rows)


@torch.no_grad()
def distance(found: AlignmentResult, model: torch.nn.Module, task: numsym.tasks.Task) -> float:
    """Root mean square of x - t, t the mean natural state of the counterfactual's values, over that of h - t."""
    from numsym.alignment.hypotheses import PairCounts
    from numsym.alignment.one_model import OneModel
    from numsym.alignment.starts import natural_means
    from numsym.models import Site

    subject = OneModel(model, task, Site.of("state"), PairCounts(4000, 50, 50), None, "auto")
    asked = Hypothesis(variable="count", seed=99).of(task)
    seen = subject.seen(asked, subject.draw(asked).train)
    mean, known = natural_means(seen)
    made = found.intervention(seen.base.float(), seen.source.float()).double()
    return ((made - mean)[known].square().mean() / (seen.base - mean)[known].square().mean()).sqrt().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"choose": choose, "conditional": conditional, "latent": latent}.get((sys.argv[1:] or [""])[0], judge)()
