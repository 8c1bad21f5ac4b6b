"""What the benchmarks of the search share: networks that are trained once, and a search whose course is timed."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import numsym
from numsym.alignment import AlignmentResult, Hypothesis

FUNCTIONS = ("orthogonal", "linear", "low_rank", "conditional")
NETWORKS = Path(tempfile.gettempdir()) / "numsym_search_networks"
"""Where trained networks are kept between the parts of this benchmark; delete it to train again."""

Row = dict[str, str | float | bool]


def network(task: numsym.tasks.Task, width: int, seed: int, cell: str = "gru") -> torch.nn.Module:
    """A network of the counting tasks, trained once and kept in `NETWORKS`."""
    torch.manual_seed(seed)
    config = numsym.models.RecurrentConfig(cell=cell, vocab_size=task.vocab_size, hidden_size=width)
    model, kept = numsym.models.RecurrentLM(config), NETWORKS / f"{cell}_{width}_{task.name}_{seed}.pt"
    if kept.exists():
        model.load_state_dict(torch.load(kept, weights_only=True))
    else:
        numsym.train(model, task, seed=seed)
        kept.parent.mkdir(exist_ok=True)
        torch.save(model.state_dict(), kept)
    return model


def searched(
    model: torch.nn.Module, task: numsym.tasks.Task, k: int, functions: Sequence[str], search: dict[str, Any],
    controls: Any = False, pairs: Any = None, **asked: Any,
) -> tuple[list[AlignmentResult], float, list[tuple[float, float]]]:  # fmt: skip
    """Searches in one batch, their seconds, and after how many of them the first's validation IIA was how high."""
    course: list[tuple[float, float]] = []
    started = time.process_time()
    wanted = [Hypothesis(**{"variable": "count", "subspace_dim": k, "alignment": one, **asked}) for one in functions]

    def on_check(index: int, record: dict[str, float | int]) -> None:
        if index == 0:
            course.append((time.process_time() - started, float(record["iia"])))

    found = numsym.alignment.align_many(
        model, task, wanted, search=search, pairs=pairs, controls=controls, on_check=on_check
    )
    return found, time.process_time() - started, course
