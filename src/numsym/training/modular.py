"""Training a modular adder as [P] does (section 2 and appendix): full batch, AdamW, heavy weight decay."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.circuits import circuit_metrics
from numsym.errors import InvalidArgumentError, ModelMismatchError, check_at_least, check_between
from numsym.models import LinearModularConfig, LinearModularModel, ModularTransformer, ModularTransformerConfig
from numsym.tasks import ModularAddition

logger = logging.getLogger(__name__)

ModularNetwork = ModularTransformer | LinearModularModel


@dataclass(frozen=True)
class ModularTrainingSettings:
    """How a modular adder is trained; the defaults are those of [P].

    Attributes:
        epochs: steps, each on the full training split.
        lr: learning rate of AdamW, after the warm-up.
        weight_decay: of AdamW.
        betas: of AdamW.
        warmup: steps over which the learning rate rises linearly.
        log_every: epochs between two rows of the history.
        patience: stop once this many rows in a row had every held-out pair right; 0 runs all epochs.
        compile: pass the loss through `torch.compile` (pays on a GPU and for long runs; about a minute to start).
    """

    epochs: int = 20_000
    lr: float = 1e-3
    weight_decay: float = 2.0
    betas: tuple[float, float] = (0.9, 0.98)
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


@dataclass
class ModularTraining:
    """A trained adder and how it came about.

    Attributes:
        model: in evaluation mode.
        history: one row each `log_every` epochs: epoch, train_loss, test_accuracy (share of held-out pairs, or of all
            pairs where none is held out), the three metrics of [P], seconds since the start.
        seconds: the whole run.
    """

    model: ModularNetwork
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def first_epoch(self, accuracy: float = 1.0) -> int | None:
        """The first logged epoch with at least this held-out accuracy; `None` where none was."""
        return next((row["epoch"] for row in self.history if row["test_accuracy"] >= accuracy), None)


def build_adder(task: ModularAddition, *, seed: int = 0, kind: str = "transformer", **shape: Any) -> ModularNetwork:
    """An untrained network for a task: a transformer, or the linear model A, B, C, D or X, with seeded weights.

    Args:
        task: says p, the vocabularies and the equals sign.
        seed: of the weights; the global generator is left as it was.
        kind: "transformer" or a linear kind.
        shape: further options of `ModularTransformerConfig` (alpha, hidden_size, ...) or `LinearModularConfig`.

    Raises:
        InvalidArgumentError: a linear model is asked for with separate vocabularies or an equals sign, or the shape is
            not allowed.
    """
    vocabulary = task.vocabulary
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "transformer":
            return ModularTransformer(
                ModularTransformerConfig(
                    p=task.p,
                    separate_vocabularies=vocabulary.separate_vocabularies,
                    equals_sign=vocabulary.equals_sign,
                    **shape,
                )
            )
        if vocabulary.separate_vocabularies or vocabulary.equals_sign:
            raise InvalidArgumentError(f"kind={kind!r} is not allowed: linear models read (a, b) of one vocabulary")
        return LinearModularModel(LinearModularConfig(p=task.p, kind=kind, **shape))


def train_adder(
    model: ModularNetwork,
    task: ModularAddition,
    settings: ModularTrainingSettings | None = None,
    *,
    on_log: Callable[[dict[str, Any]], None] | None = None,
) -> ModularTraining:
    """Train on every training pair at each step, on the device of the model; the loss is taken in float64.

    Args:
        model: trained in place.
        task: its training split is learned, its held-out split tested.
        settings: by default those of [P].
        on_log: called with each row of the history (a tracker, a progress bar).

    Raises:
        ModelMismatchError: the vocabulary or the number of tokens of the model is not the task's.
    """
    settings = ModularTrainingSettings() if settings is None else settings
    _check_fit(model, task)
    tokens, answers = _split(task, "train", model.device)
    tested = _split(task, "held_out" if task.has_held_out else "all", model.device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        betas=settings.betas,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(settings.warmup, 1)))
    loss_of = torch.compile(_loss) if settings.compile else _loss
    result, start, streak = ModularTraining(model), time.perf_counter(), 0
    model.train()
    for epoch in range(1, settings.epochs + 1):
        loss = loss_of(model, tokens, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if epoch % settings.log_every and epoch != settings.epochs:
            continue
        row = _row(model, epoch, loss.item(), tested) | {"seconds": time.perf_counter() - start}
        result.history.append(row)
        logger.info("epoch %(epoch)d: loss %(train_loss).2e, test accuracy %(test_accuracy).4f", row)
        if on_log is not None:
            on_log(row)
        streak = streak + 1 if row["test_accuracy"] == 1.0 else 0
        if settings.patience and streak >= settings.patience:
            break
    model.eval()
    result.seconds = time.perf_counter() - start
    return result


def _check_fit(model: ModularNetwork, task: ModularAddition) -> None:
    ours = (model.p, model.config.separate_vocabularies, model.config.equals_sign)
    theirs = (task.p, task.vocabulary.separate_vocabularies, task.vocabulary.equals_sign)
    if ours != theirs:
        raise ModelMismatchError(
            f"model has (p, separate_vocabularies, equals_sign)={ours}, but the task has {theirs}: make them the same"
        )


def _split(
    task: ModularAddition, split: str, device: torch.device
) -> tuple[Int[Tensor, "pairs pos"], Int[Tensor, "pairs"]]:
    batch = task.whole(split)
    return batch.input_ids[:, :-1].to(device), batch.counts.to(device)


def _loss(model: ModularNetwork, tokens: Int[Tensor, "pairs pos"], answers: Int[Tensor, "pairs"]) -> Float[Tensor, ""]:
    logits = model(tokens, last_only=True).logits[:, -1]
    # In float32 the loss of a nearly perfect network rounds to 0 and its gradients with it ([P] appendix).
    return torch.nn.functional.cross_entropy(logits.double(), answers)


def _row(model: ModularNetwork, epoch: int, loss: float, tested: tuple[Tensor, Tensor]) -> dict[str, Any]:
    tokens, answers = tested
    with torch.no_grad():
        right = model(tokens, last_only=True).logits[:, -1].argmax(-1) == answers
    metrics = asdict(circuit_metrics(model))
    return {"epoch": epoch, "train_loss": loss, "test_accuracy": right.double().mean().item(), **metrics}
