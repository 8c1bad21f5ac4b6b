"""Training a modular adder as [P] does (section 2 and appendix): full batch, AdamW, heavy weight decay."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import repeat

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, ModelMismatchError, Options, check_at_least, check_between, options_of
from numsym.models.adders import ModularNetwork
from numsym.run import NO_RUN, NoRun
from numsym.tasks import ModularAddition
from numsym.training.loop import Checks, OnCheck, Record, TrainingLog, fit, kept, title_of
from numsym.training.optimisers import Optimisers, warmed

Split = tuple[Int[Tensor, "pairs pos"], Int[Tensor, "pairs"]]

Measure = Callable[[ModularNetwork], Mapping[str, float | int]]
"""What else a check measures; `numsym.circuits.circuit_metrics` as a dictionary, say."""


@dataclass(frozen=True)
class ModularTrainingSettings:
    """How a modular adder is trained; the defaults are those of [P].

    Attributes:
        epochs: steps, each on the full training split.
        lr: learning rate of AdamW, after the warm-up.
        weight_decay: of AdamW.
        betas: of AdamW.
        warmup: steps over which the learning rate rises linearly.
        log_every: epochs between two records.
        patience: stop once this many records in a row had every held-out pair right; 0 runs all epochs.
        compile: pass the loss through `torch.compile` (pays on a GPU and for long runs; about a minute to start).
    """

    epochs: int = 20_000
    lr: float | int = 1e-3
    weight_decay: float | int = 2.0
    betas: tuple[float, float] | list[float] = (0.9, 0.98)
    warmup: int = 10
    log_every: int = 100
    patience: int = 0
    compile: bool = False

    def __post_init__(self) -> None:
        check_at_least("epochs", self.epochs, 1)
        check_at_least("log_every", self.log_every, 1)
        check_at_least("warmup", self.warmup, 0)
        check_at_least("patience", self.patience, 0)
        check_at_least("weight_decay", self.weight_decay, 0)
        if not self.lr > 0:
            raise InvalidArgumentError(f"lr={self.lr!r} is not allowed: it must be above 0")
        for beta in self.betas:
            check_between("betas", beta, 0, 1)


def train_modular(
    model: ModularNetwork,
    task: ModularAddition,
    settings: Options[ModularTrainingSettings] = None,
    *,
    measure: Measure | None = None,
    on_check: OnCheck | None = None,
    run: NoRun = NO_RUN,
    name: str = "model",
) -> TrainingLog:
    """Train on every training pair at each step, on the device of the model; the loss is taken in float64.

    A record has `step` (the epoch), `loss` of the training pairs, `test_accuracy` (share of held-out pairs, or of all
    pairs where none is held out), what `measure` gives, and `seconds` since the start.

    Args:
        model: trained in place, and left in evaluation mode.
        task: its training split is learned, its held-out split tested.
        settings: a `ModularTrainingSettings`, or some of its fields; by default those of [P].
        measure: what else to measure of the model at each check.
        on_check: called with each record.
        run: where the trained model is kept, as `name`; one that is there is read, and not trained again.
        name: of the part of the run.

    Raises:
        ModelMismatchError: the vocabulary or the number of tokens of the model is not the task's.
    """
    settings = options_of(ModularTrainingSettings, settings)
    check_fit(model, task)
    epochs, every = settings.epochs, settings.log_every

    def due(step: int) -> bool:
        return step % every == 0 or step == epochs

    def make() -> TrainingLog:
        beta_1, beta_2 = settings.betas
        decay = settings.weight_decay
        adamw = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=decay, betas=(beta_1, beta_2), fused=True
        )
        loss_of = torch.compile(_loss) if settings.compile else _loss

        def loss(model: ModularNetwork, pairs: Split) -> Iterator[Tensor]:
            yield loss_of(model, *pairs)

        optimisers = Optimisers(adamw, schedule=lambda step: warmed(step, settings.warmup))
        batches = repeat(_split(task, "train", model.device))
        checks = _checks(model, task, due, settings.patience, measure, on_check)
        return fit(model, loss, optimisers, batches, epochs, checks, run=run, title=title_of(name))

    return kept(run, name, model, {"task": task.asked(), **asdict(settings)}, make)


def first_right(log: TrainingLog, accuracy: float | int = 1.0) -> int | None:
    """The first recorded epoch with at least this held-out accuracy; `None` where none was."""
    return next((int(row["step"]) for row in log.records if row["test_accuracy"] >= accuracy), None)


def check_fit(model: ModularNetwork, task: ModularAddition) -> None:
    """Raise `ModelMismatchError` unless the network reads the tokens of the task."""
    ours = (model.p, model.config.separate_vocabularies, model.config.equals_sign)
    theirs = (task.p, task.vocabulary.separate_vocabularies, task.vocabulary.equals_sign)
    if ours != theirs:
        raise ModelMismatchError(
            f"model has (p, separate_vocabularies, equals_sign)={ours}, but the task has {theirs}: make them the same"
        )


def _split(task: ModularAddition, split: str, device: torch.device) -> Split:
    batch = task.whole(split)
    return batch.input_ids[:, :-1].to(device), batch.counts.to(device)


def _loss(model: ModularNetwork, tokens: Int[Tensor, "pairs pos"], answers: Int[Tensor, "pairs"]) -> Float[Tensor, ""]:
    logits = model(tokens, last_only=True).logits[:, -1]
    # In float32 the loss of a nearly perfect network rounds to 0 and its gradients with it ([P] appendix).
    return torch.nn.functional.cross_entropy(logits.double(), answers)


def _checks(
    model: ModularNetwork,
    task: ModularAddition,
    due: Callable[[int], bool],
    patience: int,
    further: Measure | None,
    on_check: OnCheck | None,
) -> Checks:
    """The held-out pairs; enough are `patience` records in a row in which all of them are right."""
    tokens, answers = _split(task, "held_out" if task.has_held_out else "all", model.device)
    start, streak = time.perf_counter(), 0

    def measure(losses: list[Tensor]) -> Record:
        with torch.no_grad():
            right = model(tokens, last_only=True).logits[:, -1].argmax(-1) == answers
        found: Record = {"loss": losses[-1].item(), "test_accuracy": right.double().mean().item()}
        return {**found, **(further(model) if further else {}), "seconds": time.perf_counter() - start}

    def enough(record: Record) -> bool:
        nonlocal streak
        streak = streak + 1 if record["test_accuracy"] == 1.0 else 0
        return bool(patience) and streak >= patience

    return Checks(due, measure, enough, on_check=on_check)
