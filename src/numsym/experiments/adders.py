"""The small adders that the Fourier experiments train: tied embeddings, AdamW or Muon, numbers as tokens."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import ModelOutput

from numsym.errors import check_at_least, check_between, check_name
from numsym.tasks.addition import AdditionTask

S = TypeVar("S")

ARCHITECTURES = ("transformer", "gru", "lstm")
OPTIMISERS = ("adamw", "muon")
POOL = 32

Record = dict[str, float | int]
"""What a check measured: `step`, `loss` (nats a token), `accuracy`, `digits`, and what the caller adds."""
MUON_RATE = 5.0
"""Muon's steps have a fixed size, so its learning rate is larger: this times AdamW's."""


class TiedRecurrent(nn.Module):
    """A recurrent language model whose unembedding is its embedding: one GRU or LSTM layer, then an MLP back to d."""

    def __init__(self, cell: str, vocab_size: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](width, width, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def get_input_embeddings(self) -> nn.Embedding:
        """The embedding, which is the unembedding too."""
        return self.embedding

    def forward(self, input_ids: Int[Tensor, "batch pos"]) -> ModelOutput:
        """Logits of the next token at each position, as a Hugging Face model returns them."""
        hidden = self.decoder(self.recurrent(self.embedding(input_ids))[0])
        return ModelOutput(logits=hidden @ self.embedding.weight.mT)


def build(
    architecture: str,
    task: AdditionTask,
    *,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    spread: float | None = None,
) -> nn.Module:
    """Make an untrained adder with tied embeddings; the transformer is a Hugging Face GPT-2, which pyvene knows.

    Args:
        architecture: "transformer", "gru" or "lstm".
        task: its vocabulary and length.
        width: d, of embedding and state.
        layers: of the transformer.
        heads: of the transformer.
        spread: standard deviation of the transformer's initial weights; None is GPT-2's 0.02. Modular addition is
            learnt far sooner from about width^-0.5.
    """
    check_name("architecture", architecture, ARCHITECTURES)
    if architecture != "transformer":
        return TiedRecurrent(architecture, task.vocab_size, width)
    config = GPT2Config(
        vocab_size=task.vocab_size,
        n_positions=3 * task.digits + 2,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        initializer_range=0.02 if spread is None else spread,
        tie_word_embeddings=True,
    )
    return GPT2LMHeadModel(config)


def number_rows(model: Any, task: AdditionTask) -> Float[Tensor, "number hidden"]:
    """Return the embeddings of the numbers 0..base-1, without gradients."""
    return model.get_input_embeddings().weight.detach()[: task.base].clone()


@dataclass(frozen=True)
class AdderTraining:
    """How an adder is trained.

    Attributes:
        optimiser: "adamw", or "muon" for the hidden matrices with AdamW for embeddings and biases.
        steps: optimiser steps.
        batch_size: trials a step, drawn anew each time.
        learning_rate: of AdamW; it rises over 100 steps and then falls linearly to a twentieth.
        weight_decay: of both.
        checks: how often it is measured, evenly spaced, besides the start.
        stop_at: share of right trials over a check at which training ends; above 1 never.
        seed: of weights and trials.
    """

    optimiser: str = "adamw"
    steps: int = 2000
    batch_size: int = 128
    learning_rate: float | int = 2e-3
    weight_decay: float | int = 0.1
    checks: int = 10
    stop_at: float | int = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("optimiser", self.optimiser, OPTIMISERS)
        for name in ("steps", "batch_size", "checks"):
            check_at_least(name, getattr(self, name), 1)
        check_between("checks", self.checks, 1, self.steps)
        check_between("weight_decay", self.weight_decay, 0, float("inf"))


@dataclass
class AdderLog:
    """What `train_adder` measured, one record a check."""

    records: list[Record] = field(default_factory=list)


def optimisers(model: Any, settings: AdderTraining) -> list[torch.optim.Optimizer]:
    """Make the optimisers; Muon takes the hidden matrices, and only matrices, as its authors recommend."""
    rate, decay = settings.learning_rate, settings.weight_decay
    adam: dict[str, Any] = {"lr": rate, "weight_decay": decay, "betas": (0.9, 0.98)}
    if settings.optimiser == "adamw":
        return [torch.optim.AdamW(model.parameters(), **adam)]
    embeddings = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    hidden = [p for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings]
    chosen = {id(p) for p in hidden}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(hidden, lr=MUON_RATE * rate, weight_decay=decay)
    return [muon, torch.optim.AdamW(others, **adam)]


def train_adder(
    model: nn.Module,
    task: AdditionTask,
    settings: AdderTraining,
    on_check: Callable[[Record], None] | None = None,
) -> AdderLog:
    """Train on fresh trials by the cross-entropy of the answer's tokens.

    `accuracy` is the share of trials with every digit right, `digits` the share of right digits, both over the steps
    since the last check (at the start: of the first batch). A check first makes its record, then calls `on_check`
    with it, which may add to it.
    """
    torch.manual_seed(settings.seed)
    steppers = optimisers(model, settings)
    rates = [group["lr"] for stepper in steppers for group in stepper.param_groups]
    device = next(model.parameters()).device
    log, sums, seen = AdderLog(), torch.zeros(3, device=device), 0
    marks = {round(i * settings.steps / settings.checks) for i in range(settings.checks + 1)}
    model.train()
    for step, rows in enumerate(_batches(task, settings, device)):
        logits = model(input_ids=rows[:, :-1])["logits"][:, -task.digits :]
        answer = rows[:, -task.digits :]
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), answer.flatten())
        right = (logits.detach().argmax(-1) == answer).float()
        sums, seen = sums + torch.stack([loss.detach(), right.amin(1).mean(), right.mean()]), seen + 1
        if step in marks:
            means = (sums / seen).tolist()
            record = {"step": step, "loss": means[0], "accuracy": means[1], "digits": means[2]}
            log.records.append(record)
            sums, seen = torch.zeros_like(sums), 0
            if on_check is not None:
                on_check(record)
            if step == settings.steps or means[1] >= settings.stop_at:
                break
        share = min(1.0, (step + 1) / 100) * max(0.05, 1 - step / settings.steps)
        for group, rate in zip((g for s in steppers for g in s.param_groups), rates, strict=True):
            group["lr"] = rate * share
        for stepper in steppers:
            stepper.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
    model.eval()
    return log


def _batches(task: AdditionTask, settings: AdderTraining, device: torch.device) -> Iterator[Int[Tensor, "batch pos"]]:
    generator = torch.Generator().manual_seed(settings.seed)
    while True:
        pool = task.sample(settings.batch_size * POOL, generator=generator).input_ids.to(device)
        yield from pool.split(settings.batch_size)


def settings_of(kind: type[S], config: Mapping[str, Any], **fixed: Any) -> S:
    """Make an experiment's settings from its part of a composed configuration; `training` is made too if present.

    Raises:
        UnknownNameError: a key that the settings do not have.
    """
    given = {name: value for name, value in config["experiment"].items() if name != "name"}
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        check_name(f"key of experiment {config['experiment']['name']}", name, known)
    if "training" in given:
        given["training"] = AdderTraining(**given["training"], seed=config["seed"])
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}, **fixed)
