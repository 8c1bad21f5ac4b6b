"""Whether an adder uses its Fourier features: rotate the period-T subspace of a number, or ablate it ([F], [P])."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym._pyvene import pv
from numsym.errors import check_at_least
from numsym.experiments.adders import AdderTraining, Record, build, settings_of, train_adder
from numsym.experiments.trained import device_of
from numsym.interventions.fourier import FourierSubspaceIntervention, waves
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.storage import new_folder, write_text
from numsym.tasks.addition import AdditionTask

PLACE = {"layer": 0, "component": "block_input", "unit": "pos"}


@dataclass(frozen=True)
class FourierCausalConfig:
    """The settings of the experiment.

    Attributes:
        base: digits are 0..base-1.
        digits: tokens a number; the lowest digit of a is intervened on, the lowest digit of the sum is the answer.
        modular: whether the sum wraps.
        period: T of the subspace; None is the base.
        strongest: how many harmonics, those of the most power, are in the subspace: one row of the table each.
        controls: random subspaces of the same rank for each row.
        trials: on which a rotation is tried, each with its own s.
        width: d of the transformer.
        layers: of the transformer.
        training: of the adder.
        seed: of the trials, the shifts and the controls.
    """

    base: int = 59
    digits: int = 1
    modular: bool = True
    period: int | None = None
    strongest: tuple[int, ...] = (1, 2, 4, 8, 12, 16, 20)
    controls: int = 5
    trials: int = 1000
    width: int = 128
    layers: int = 1
    training: AdderTraining = field(
        default_factory=lambda: AdderTraining(
            steps=6000, learning_rate=3e-3, weight_decay=0.03, checks=60, stop_at=0.998
        )
    )
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("controls", "trials"):
            check_at_least(name, getattr(self, name), 1)

    @property
    def T(self) -> int:
        """The period of the subspace."""
        return self.base if self.period is None else self.period


class Bench:
    """An adder, trials for it, and what it answers when its lowest digit of a is changed through pyvene."""

    def __init__(self, model: Any, task: AdditionTask, config: FourierCausalConfig):
        self.model, self.task, self.config = model, task, config
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        batch = task.sample(config.trials, generator=self.generator)
        device = next(model.parameters()).device
        self.inputs, self.truth = batch.input_ids[:, :-1].to(device), batch.input_ids[:, -1].to(device)
        self.position = task.digits - 1
        self.shifts = torch.randint(1, config.T, (config.trials,), generator=self.generator).to(device)
        self.plain = self.answers(None)

    @torch.no_grad()
    def states(self) -> Float[Tensor, "number hidden"]:
        """The states of the digits 0..base-1 at the place of the intervention."""
        rows = self.inputs[:1].repeat(self.task.base, 1)
        rows[:, self.position] = torch.arange(self.task.base, device=rows.device)
        seen: list[Tensor] = []
        # Not `output_hidden_states`: pyvene takes away the hooks with which transformers records them.
        hook = self.model.transformer.h[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        self.model(input_ids=rows)
        hook.remove()
        return seen[0][:, self.position]

    @torch.no_grad()
    def answers(
        self, intervention: FourierSubspaceIntervention | None, shifts: Sequence[int] | None = None
    ) -> Int[Tensor, " trial"]:
        """The last digit of each answer, with an intervention or without."""
        if intervention is None:
            return self.model(input_ids=self.inputs)["logits"][:, -1].argmax(-1)
        config = pv.IntervenableConfig(representations=[{**PLACE, "intervention": intervention}])
        count = len(self.inputs)
        subspaces = None if shifts is None else [[[int(shift)] for shift in shifts]]
        changed = pv.IntervenableModel(config, self.model)(
            base={"input_ids": self.inputs},
            unit_locations={"base": [[[self.position]] * count]},
            subspaces=subspaces,
        )[1]
        return changed.logits[:, -1].argmax(-1)

    def moved(self, intervention: FourierSubspaceIntervention) -> float:
        """Share of trials in which rotating by s moves the answer by s mod T."""
        intervention.set_operation("rotate")
        answers = self.answers(intervention, self.shifts.tolist())
        return float(((answers - self.plain - self.shifts) % self.config.T == 0).double().mean())

    def right_without(self, intervention: FourierSubspaceIntervention) -> float:
        """Share of right answers when the subspace is ablated."""
        return float((self.answers(intervention.set_operation("ablate")) == self.truth).double().mean())


def by_rank(bench: Bench) -> list[dict[str, Any]]:
    """For each number of harmonics: what rotating and ablating does, in the fitted and in random subspaces."""
    config, states, rows = bench.config, bench.states(), []
    for strongest in config.strongest:
        fitted = FourierSubspaceIntervention(period=config.T).fit(
            states, torch.arange(bench.task.base), strongest=strongest
        )
        random = [fitted.random(bench.generator) for _ in range(config.controls)]
        moved, right = [bench.moved(c) for c in random], [bench.right_without(c) for c in random]
        rows.append(
            {
                "harmonics": list(fitted.harmonics),
                "rank": fitted.rank,
                "moved": bench.moved(fitted),
                "random_moved": sum(moved) / len(moved),
                "random_moved_most": max(moved),
                "right_ablated": bench.right_without(fitted),
                "random_right_ablated": sum(right) / len(right),
            }
        )
    return rows


def by_harmonic(bench: Bench, count: int = 8) -> list[dict[str, Any]]:
    """For each of the strongest harmonics by itself: its share of the power, and what ablating it costs.

    It is idle when ablating it changes the share of right answers by less than two standard errors.
    """
    config, states = bench.config, bench.states()
    numbers, found = torch.arange(bench.task.base, device=states.device), []
    total = float((states - states.mean(dim=0)).square().sum())
    before = float((bench.plain == bench.truth).double().mean())
    for harmonic in range(1, config.T // 2 + 1):
        one = FourierSubspaceIntervention(period=config.T, operation="ablate").fit(
            states, numbers, harmonics=[harmonic]
        )
        part = float((waves(numbers.to(states.dtype), config.T, [harmonic]) @ one.weight).square().sum()) / total
        found.append((part, harmonic, one))
    rows = []
    for part, harmonic, one in sorted(found, key=lambda entry: -entry[0])[:count]:
        after = bench.right_without(one)
        error = ((before * (1 - before) + after * (1 - after)) / config.trials) ** 0.5
        idle = abs(before - after) <= 2 * max(error, 1 / config.trials)
        rows.append({"harmonic": harmonic, "power": part, "right": before, "right_ablated": after, "idle": idle})
    return rows


def table(ranks: list[dict[str, Any]], harmonics: list[dict[str, Any]], config: FourierCausalConfig) -> str:
    """Write both results as Markdown tables."""
    lines = [
        f"| harmonics of T = {config.T} | rank | rotating by s moves the answer by s | random subspaces: mean (most) | "
        "right when ablated | random subspaces |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in ranks:
        lines.append(
            f"| {', '.join(map(str, row['harmonics']))} | {row['rank']} | {100 * row['moved']:.1f} % | "
            f"{100 * row['random_moved']:.1f} % ({100 * row['random_moved_most']:.1f} %) | "
            f"{100 * row['right_ablated']:.1f} % | {100 * row['random_right_ablated']:.1f} % |"
        )
    lines += ["", "| harmonic | share of power | right, before and after ablation | |", "| --- | --- | --- | --- |"]
    for row in harmonics:
        lines.append(
            f"| {row['harmonic']} | {100 * row['power']:.1f} % | {100 * row['right']:.1f} %, "
            f"{100 * row['right_ablated']:.1f} % | {'idle' if row['idle'] else 'used'} |"
        )
    return "\n".join(lines)


def train(
    config: FourierCausalConfig, on_check: Callable[[Record], None] | None = None, device: torch.device | str = "cpu"
) -> tuple[Any, AdditionTask, list[Record]]:
    """Train the transformer that is intervened on; return it, its task, and the records of its training."""
    task = AdditionTask(base=config.base, digits=config.digits, modular=config.modular)
    torch.manual_seed(config.training.seed)
    model = build("transformer", task, width=config.width, layers=config.layers, spread=config.width**-0.5).to(device)
    return model, task, train_adder(model, task, config.training, on_check).records


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train, intervene, print both tables; write `results.json`, `fourier_causal.md` and `model/`."""
    settings = settings_of(FourierCausalConfig, config, seed=config["seed"])
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        with display.stage("training", settings.training.steps) as stage:

            def check(record: Record) -> None:
                stage.to(int(record["step"]), accuracy=record["accuracy"])
                tracker.log("training", record)

            model, task, records = train(settings, check, device_of(config))
        bench = Bench(model, task, settings)
        ranks, harmonics = by_rank(bench), by_harmonic(bench)
        text = table(ranks, harmonics, settings)
        with new_folder(run_folder / "model") as path:
            model.save_pretrained(path)
        write_text(run_folder / "fourier_causal.md", text + "\n")
        tracker.table("ranks", [{**row, "harmonics": str(row["harmonics"])} for row in ranks])
        run_folder.finish({"training": records, "ranks": ranks, "harmonics": harmonics})
    display.console.print(text, highlight=False, soft_wrap=True, markup=False)
    display.console.print(f"run folder   {folder}")
    return {"training": records, "ranks": ranks, "harmonics": harmonics}
