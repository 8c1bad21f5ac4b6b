"""Training a small language model on a corpus: every token from those before it in its row."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from numsym.errors import Options, check_name, options_of
from numsym.run import NO_RUN, NoRun
from numsym.tasks.corpus import Corpus
from numsym.training.adders import AdderTraining, checked_evenly, mean, trained
from numsym.training.loop import OnCheck, Record, TrainingLog
from numsym.training.optimisers import NAMES


def train_on_corpus(
    model: nn.Module,
    corpus: Corpus,
    settings: Options[AdderTraining] = None,
    *,
    optimiser: str = "adamw",
    seed: int = 0,
    measure: Callable[[nn.Module], Mapping[str, float | int]] | None = None,
    on_check: OnCheck | None = None,
    asked: Mapping[str, Any] | None = None,
    run: NoRun = NO_RUN,
    name: str = "model",
) -> TrainingLog:
    """Train on the rows of a corpus, in a new order each time that all have been seen.

    A record has `step`, `loss` (nats a token, over the steps since the last check), `numbers`, how many number tokens
    were seen so far, and what `measure` gives.

    Args:
        model: trained in place, and left in evaluation mode.
        corpus: what it reads.
        settings: an `AdderTraining`, or some of its fields; `stop_at` is not used, and a batch is of rows.
        optimiser: "adamw", or "muon" for the hidden matrices with AdamW for embeddings and biases.
        seed: of the order; the weights are the model's own.
        measure: what else to measure of the model at each check.
        on_check: called with each record.
        asked: what `measure` is made from, as plain values, for the run.
        run: where the trained model is kept, as `name`; one that is there is read, and not trained again.
        name: of the part of the run.

    Raises:
        UnknownNameError: no such optimiser.
    """
    settings = options_of(AdderTraining, settings)
    check_name("optimiser", optimiser, NAMES)

    reading = Reading(corpus)

    def found(losses: list[Tensor]) -> Record:
        return {"loss": mean(losses).item(), "numbers": reading.taken(), **(measure(model) if measure else {})}

    checks = checked_evenly(settings, found, lambda record: False, on_check)
    batches = _batches(corpus, settings.batch_size, seed, next(model.parameters()).device)
    text = hashlib.sha256(corpus.rows.numpy().tobytes()).hexdigest()
    said = {"corpus": text, "seed": seed, **(asked or {})}
    return trained(model, reading, batches, checks, settings, optimiser, said=said, run=run, name=name)


class Reading:
    """The loss of every token but the first of a row and the padding; it counts the number tokens that it has seen."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        # Tensors: a step does not wait for the device.
        self.last, self.seen = torch.tensor(0), torch.tensor(0)

    def __call__(self, model: Any, rows: Tensor) -> Iterator[Tensor]:
        """The mean cross-entropy."""
        self.seen = self.seen.to(rows.device) + self.last.to(rows.device)
        self.last = (rows < self.corpus.count).sum()
        logits = model(input_ids=rows[:, :-1])["logits"]
        yield nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=self.corpus.pad)

    def taken(self) -> int:
        """How many number tokens the weights were trained on so far; the batch of the present loss does not count."""
        return int(self.seen)


def _batches(corpus: Corpus, size: int, seed: int, device: torch.device) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size = min(size, len(corpus.rows))
    while True:
        order = torch.randperm(len(corpus.rows), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            rows = corpus.rows[order[start : start + size]]
            yield rows[:, : int((rows != corpus.pad).sum(dim=1).max())].to(device)
