"""Small runs of every study, in processes forked from one that has imported everything: a second each.

`Small` knows what an uninterrupted run finds, so that one that was interrupted can be held against it.
"""

import contextlib
import hashlib
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TASK = ["tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]"]
TRAINED = ["tasks.training.steps=20", "tasks.training.batch_size=16", "tasks.training.learning_rate=0.01"]
SEARCHED = [
    "pairs.train=60", "pairs.validation=20", "pairs.test=20", "search.max_steps=2", "controls=[floor]",
    "interventions=das",
]  # fmt: skip
COUNTED = [*TASK, *TRAINED, "tasks.model.hidden_size=8"]
ALIGNED = [*COUNTED, *SEARCHED]
LEARNERS = [
    "experiment.width=8", "experiment.folds=3", "experiment.max_period=3", "experiment.training.steps=4",
    "experiment.training.checks=2", "experiment.training.batch_size=8",
]  # fmt: skip
ADDER = ["tasks=modular_addition", "tasks.arguments.p=5", "tasks.model.hidden_size=8", "tasks.training.epochs=20"]
STUDIES: dict[str, list[str]] = {
    "align": ALIGNED,
    "graded": [*ALIGNED, "experiment.measured=40"],
    "neurons": [*ALIGNED, "experiment.sizes=[1,2]"],
    "over_training": [*ALIGNED, "experiment.checkpoints=2"],
    "width": [*ALIGNED, "experiment.widths=[8,10]", "experiment.dimensions=[2]"],
    "compare": [*ALIGNED[:-1], "experiment.programs=[up_down]", "experiment.alignment=orthogonal"],
    "site_sweep": [*ALIGNED, "tasks=multi_object", "variable=count"],
    "cross_model": [*ALIGNED, "~experiment.networks.lstm", "~experiment.networks.single"],
    "trajectories": [*COUNTED, "experiment.trials=40"],
    "markov": [
        *COUNTED, "tasks=multi_object", "experiment.tested=20", "~experiment.networks.lstm",
        "~experiment.networks.transformer_1", "~experiment.networks.transformer_2",
        "~experiment.networks.transformer_4", "~experiment.networks.transformer_2_nope",
        "experiment.networks.gru.training.steps=5", "experiment.networks.gru.model.hidden_size=8",
    ],
    "strength_value": [
        *COUNTED, "experiment.trials=10", "tasks.model.num_layers=1", "tasks.model.num_heads=2",
    ],
    "modular_adder": [*ADDER, "tasks.training.log_every=10", "tasks.model.num_attention_heads=2"],
    "fourier_causal": [
        "experiment.base=7", "experiment.width=8", "experiment.training.steps=4",
        "experiment.training.checks=2", "experiment.trials=20",
        "experiment.strongest=[1,2]", "experiment.random_subspaces=1",
    ],
    "routes": [
        *LEARNERS, "experiment.base=10", "experiment.cuts=[one,left]", "experiment.architectures=[gru]",
        "experiment.seeds=1", "experiment.optimisers=[adamw]",
    ],
    "signals": [
        *LEARNERS, "experiment.learners=[ppmi,gru]", "experiment.corpora=[none]", "experiment.numbers=40",
        "experiment.sentences=1000", "experiment.seeds=1",
    ],
    "insufficiency": ["experiment.numbers=60", "experiment.folds=3"],
}  # fmt: skip
"""What is asked of each; `align` is what `numsym` runs by itself."""

SWEEP = "sweep"
"""Two members, by the command itself."""


def configuration(study: str) -> dict[str, Any]:
    """As the command composes it."""
    from hydra import compose, initialize_config_dir

    from numsym import recipes
    from numsym_command.configs import CONFIGS, store

    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = [f"experiment={study}", "folder=unused", "device=cpu", "threads=1", *STUDIES[study]]
        return recipes.plain(compose("config", overrides=options))


def run(config: dict[str, Any], folder: Path) -> None:
    """Run it, or go on with it, in this process."""
    from numsym.lab.runner import run_study

    run_study(config["experiment"]["name"], config, folder)


def sweep(folder: Path) -> None:
    """Run a sweep, or go on with it, as the command does."""
    from numsym_command.main import main

    sys.argv = [
        "numsym", "-m", *STUDIES["align"], "device=cpu", "threads=1", "seed=0,1", f"hydra.sweep.dir={folder}",
        "hydra.sweep.subdir=${seed}",
    ]  # fmt: skip
    main()


def forked(work: Callable[[], None], seconds: float = 300) -> int:
    """Do some work in a process of its own, and kill it after so many seconds; its exit status, -9 where it was."""
    pid = os.fork()
    if pid == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        code = 1
        try:
            work()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def content(folder: Path) -> dict[str, str]:
    """What a run or a sweep has found, to the last bit: results without times and seal, courses, tables and tensors."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(inner) for key, inner in value.items() if key not in ("seconds", "sha256")}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    made = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.suffix == ".safetensors":
            made[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "table.csv":
            made[name] = path.read_text()
        elif path.name == "metrics.jsonl":
            lines = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
            made[name] = "\n".join(sorted(json.dumps(line) for line in lines))
        elif path.name == "results.json":
            made[name] = json.dumps(timeless(json.loads(path.read_text())), sort_keys=True)
    return made


def unfinished(folder: Path) -> list[str]:
    """What lies about."""
    from numsym.storage import UNFINISHED

    return [path.name for path in folder.rglob(".*") if UNFINISHED.fullmatch(path.name) or path.name == ".lock"]


class Small:
    """A small run of a study, or a sweep, and what it comes to where nothing is done to it.

    Args:
        study: its name, or `SWEEP`.
        at: a folder for what it comes to.

    Raises:
        RuntimeError: it does not run.
    """

    def __init__(self, study: str, at: Path):
        torch.set_num_threads(1)
        one = "align" if study == SWEEP else study
        self.config, self.whole = configuration(one), at / "whole"
        with contextlib.redirect_stdout(io.StringIO()):  # what is imported late is imported before the first fork
            run(self.config, at / "first")
        self.work: Callable[[Path], None] = sweep if study == SWEEP else lambda folder: run(self.config, folder)
        start = time.monotonic()
        if forked(lambda: self.work(self.whole)) != 0:
            raise RuntimeError(f"{study} does not run")
        self.seconds = time.monotonic() - start
        self.expected = content(self.whole)
        if not any(name.endswith("results.json") for name in self.expected):
            raise RuntimeError(f"{study} has no results")

    def goes_on(self, folder: Path) -> str:
        """Go on until it ends; what is wrong with it then, or nothing."""
        if code := forked(lambda: self.work(folder)):
            return f"it does not go on ({code})"
        if (found := content(folder)) != self.expected:
            names = sorted({*found, *self.expected})
            return f"other: {', '.join(name for name in names if found.get(name) != self.expected.get(name))}"
        left = unfinished(folder)
        return f"left behind: {', '.join(left)}" if left else ""
