"""Train one modular adder as [P] does and measure which algorithm it came to run: one point of the phase diagram."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from numsym.circuits import CircuitReport, circuit_metrics, circuit_report
from numsym.circuits.adder import check_prime
from numsym.errors import InvalidArgumentError, options_of
from numsym.figures import COLOURS, drawing
from numsym.models.adders import ModularNetwork, build_modular
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks import ModularAddition, Task
from numsym.training import ModularTrainingSettings, TrainingLog, train_modular
from numsym.training.modular import first_right

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPE = ("alpha", "hidden_size", "num_hidden_layers", "num_attention_heads")

METRICS = ("accuracy", "gradient_symmetricity", "distance_irrelevance", "circularity")

DRAWN = {
    "test_accuracy": ("test accuracy", "black"),
    "gradient_symmetricity": ("gradient symmetricity", COLOURS[0]),
    "distance_irrelevance": ("distance irrelevance", COLOURS[1]),
    "circularity": ("circularity", COLOURS[2]),
}
"""Label and colour of what the figure shows of each record."""


@dataclass(frozen=True, repr=False)
class ModularAdder(Result):
    """A trained modular adder.

    Attributes:
        p: the modulus.
        seed: of the split and of the weights.
        network: its kind and its shape.
        parameters: how many it has.
        training: its course: of each record the metrics of [P] too.
        report: what it is in the end.
    """

    p: int
    seed: int
    network: dict[str, Any]
    parameters: int
    training: TrainingLog
    report: CircuitReport

    name: ClassVar[str] = "modular_adder"

    @property
    def title(self) -> str:
        """The verdict, and when it was right."""
        epoch = first_right(self.training)
        when = "never right on all held-out pairs" if epoch is None else f"right on all held-out pairs at epoch {epoch}"
        return f"{self.report.metrics.verdict}: {when}"

    def rows(self) -> list[dict[str, Any]]:
        """One row: the network, its training, and the metrics."""
        metrics = self.report.metrics
        trained = {"epochs": self.training.steps, "first_epoch_right": first_right(self.training)}
        numbers = {name: getattr(metrics, name) for name in METRICS}
        return [{"p": self.p, "seed": self.seed, **self.network, **trained, **numbers, "verdict": metrics.verdict}]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The metrics; the network is known, and the title says when it was right."""
        row = self.rows()[0]
        return {self.title: [{name: row[name] for name in ("epochs", *METRICS)}]}

    def figure(self) -> "Figure":
        """Held-out accuracy and the three metrics by epoch: where one algorithm gives way to another."""
        records = self.training.records
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
            for name, (label, colour) in DRAWN.items():
                axes.plot([row["step"] for row in records], [row[name] for row in records], label=label, color=colour)
            axes.set(xlabel="epoch of training", ylabel="accuracy; metrics of [P], 0 to 1", ylim=(-0.02, 1.02))
            axes.set_title(f"addition mod {self.p}: {self.report.metrics.verdict}", loc="left")
            figure.legend(loc="outside lower center", ncols=4, fontsize=8)
        return figure


@study(tasks="modular_addition")
def modular_adder(
    task: Task,
    recipe: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> ModularAdder:
    """Train a modular adder as [P] does, and say which algorithm it came to run.

    Args:
        task: `ModularAddition`, whose p is an odd prime.
        recipe: its entry `model` is the network, options of `numsym.models.adders.build_modular`, and its entry
            `training` are fields of `ModularTrainingSettings`; both are by default as in [P].
        seed: of the weights; that of the split is the task's.
        device: where it is trained.
        run: where the trained network is kept and the result is shown.

    Raises:
        InvalidArgumentError: another task, or a shape or setting that is not allowed.
    """
    if not isinstance(task, ModularAddition):
        raise InvalidArgumentError(f"tasks={task.name!r} is not allowed here: use tasks=modular_addition")
    check_prime(task.p, "circularity")
    recipe = recipe or {}
    settings = options_of(ModularTrainingSettings, recipe.get("training"))
    model = build_modular(task, seed=seed, **(recipe.get("model") or {}))
    nn.Module.to(model, device)
    log = train_modular(model, task, settings, measure=metrics_of, run=run)
    config = model.config
    shape = {name: getattr(config, name) for name in SHAPE if hasattr(config, name)}
    network = {"kind": getattr(config, "kind", "transformer"), **shape}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return run.show(ModularAdder(task.p, seed, network, parameters, log, circuit_report(model)))


def metrics_of(model: ModularNetwork) -> dict[str, float]:
    """The metrics of [P], as a record has them."""
    return asdict(circuit_metrics(model))
