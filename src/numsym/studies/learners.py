"""What learners make of a corpus: counts, PPMI, word2vec and small language models, each measured and kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.errors import check_at_least, check_name
from numsym.models.adders import ARCHITECTURES, build_tied, number_rows
from numsym.probes import (
    isolate_numbers,
    limit_context,
    ppmi_svd,
    residue,
    swap_numbers,
    unigram_replace,
    word2vec,
)
from numsym.results import Result
from numsym.run import NoRun
from numsym.studies.periods import Periods, shares
from numsym.tasks.corpus import Corpus
from numsym.training import AdderTraining
from numsym.training.corpus import train_on_corpus
from numsym.training.loop import Record
from numsym.training.optimisers import NAMES

COUNTED = ("counts", "ppmi", "word2vec")
"""What learns without a network; "counts" is how often each number occurs, its logarithm, and nothing else."""


@dataclass(frozen=True)
class Cell:
    """One learner on one corpus.

    Attributes:
        learner: "ppmi", "word2vec", or the architecture of a language model.
        corpus: its name.
        seed: of corpus and weights.
        kappa: x 100, by period.
        above: the upper end of the 95 % interval of kappa after shuffling the numbers, by period.
        phi: the share of power, by period.
        records: of a language model's training, with kappa and Phi at each check.
    """

    learner: str
    corpus: str
    seed: int
    kappa: dict[int, float]
    above: dict[int, float]
    phi: dict[int, float]
    records: list[Record]


@dataclass(frozen=True, repr=False)
class KeptCell(Result):
    """A cell in a run."""

    cell: Cell

    name: ClassVar[str] = "cell"

    def rows(self) -> list[dict[str, Any]]:
        """Kappa by period."""
        return [{"T": T, "kappa": value} for T, value in self.cell.kappa.items()]


def grouped(cells: Sequence[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """The cells that differ in their seed alone, by learner and corpus."""
    made: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        made.setdefault((cell.learner, cell.corpus), []).append(cell)
    return made


READ = """\
A period is read where kappa is above what shuffled numbers give (the upper end of
their 95 % interval) with every seed; that of a network by more than what it had
before its first step, by the chance of its first vectors. Read with one seed is no
finding: of many periods and learners some are above by chance."""


def bar(cell: Cell, T: int) -> float:
    """What kappa must exceed to be read: shuffled numbers, on top of what the network had before its first step.

    First vectors are random, and what few occurrences hardly move keeps the kappa that chance gave it.
    """
    start = float(cell.records[0][f"kappa_{T}"]) if cell.records else 0.0
    return cell.above[T] + max(start, 0.0)


def read(group: Sequence[Cell]) -> list[int]:
    """The periods at which kappa is above its bar with every seed; with one seed that is no finding."""
    return [T for T in (group[0].kappa if group else ()) if all(cell.kappa[T] > bar(cell, T) for cell in group)]


def told(group: Sequence[Cell]) -> str:
    """The periods that are read, and whether one seed says so."""
    found = ", ".join(map(str, read(group)))
    return f"{found} (one seed: no finding)" if found and len(group) == 1 else found or "none"


def perturbation(corpus: Corpus, how: str, isolate: int, context: int, generator: torch.Generator) -> Corpus:
    """A corpus as one of [F]'s perturbations leaves it.

    Args:
        corpus: the text.
        how: "swapped", "unigrams", "isolated", "context"; or "" for none.
        isolate: how many numbers a row of "isolated" holds.
        context: how many tokens a row of "context" has.
        generator: of what is drawn.
    """
    rows, ids, fill = corpus.rows, corpus.number_ids, corpus.pad
    change: dict[str, Callable[[], Any]] = {
        "swapped": lambda: swap_numbers(rows, ids, generator),
        "unigrams": lambda: unigram_replace(rows, ids, generator),
        "isolated": lambda: isolate_numbers(rows, ids, keep=isolate, fill=fill),
        "context": lambda: limit_context(rows, context, fill=fill),
    }
    if not how:
        return corpus
    found = change[how]()
    # Of a row there must be something to predict.
    found = found[(found != fill).sum(dim=1) > 1]
    return corpus.with_rows(found[:, : int((found != fill).sum(dim=1).max())])


def check_learners(learners: Sequence[str], optimiser: str) -> None:
    """Raise `InvalidArgumentError` unless there are learners, and each of them and the optimiser is known."""
    check_name("optimiser", optimiser, NAMES)
    check_at_least("number of learners", len(learners), 1)
    for name in learners:
        check_name("learner", name, (*COUNTED, *ARCHITECTURES))


@dataclass(frozen=True)
class Readers:
    """Learners that read corpora, with what they share.

    Attributes:
        learners: "counts", "ppmi", "word2vec", or architectures of language models.
        width: d of all embeddings.
        layers: of the language models.
        optimiser: of the language models.
        training: of the language models.
        measured: which periods, and by what probe.
        device: where networks are trained.
    """

    learners: tuple[str, ...]
    width: int
    layers: int
    optimiser: str
    training: AdderTraining
    measured: Periods
    device: str | torch.device

    def cells(self, corpus: Corpus, name: str, seed: int, asked: Mapping[str, Any], run: NoRun) -> Iterator[Cell]:
        """A cell a learner, each kept in the run.

        Args:
            corpus: what is read.
            name: of the corpus.
            seed: of weights and order.
            asked: what the corpus is made from.
            run: where they are kept.
        """
        for learner in self.learners:
            options: dict[str, Any] = {"width": self.width}
            if learner not in COUNTED:
                training = asdict(self.training)
                options |= {"layers": self.layers, "optimiser": self.optimiser, "training": training}
            yield run.keep(
                f"cells/{name.replace(', ', '_')}_{learner}_{seed}",
                partial(self._cell, learner, corpus, name, seed),
                KeptCell.load,
                asked={**asked, "learner": learner, "seed": seed, **options, **asdict(self.measured)},
            ).cell

    def _cell(self, learner: str, corpus: Corpus, name: str, seed: int) -> KeptCell:
        measured, records = self.measured, list[Record]()
        if learner == "counts":
            embeddings = corpus.occurrences.double().log1p()[:, None]
        elif learner == "ppmi":  # an iterator, so that not every word is looked at before
            embeddings = ppmi_svd(iter(corpus.sentences()), range(corpus.count), width=self.width)
        elif learner == "word2vec":
            embeddings = word2vec(iter(corpus.sentences()), range(corpus.count), width=self.width, seed=seed)
        else:
            embeddings, records = self._trained(learner, corpus, seed)
        found = residue(embeddings, measured.probed, measured.folds, C=measured.C, baseline=True)
        above = {T: band.high for T in measured.probed if (band := found.baseline(T)) is not None}
        phi = shares(embeddings, measured.probed)
        return KeptCell(Cell(learner, name, seed, found.kappa, above, phi, records))

    def _trained(self, learner: str, corpus: Corpus, seed: int) -> tuple[Float[Tensor, "number hidden"], list[Record]]:
        """The number embeddings of a language model in the end, and the records of its training."""
        shape: dict[str, Any] = {"width": self.width, "layers": self.layers, "spread": self.width**-0.5}
        model = build_tied(learner, len(corpus.tokens), corpus.rows.shape[1], seed=seed, **shape).to(self.device)
        options: dict[str, Any] = {"optimiser": self.optimiser, "seed": seed, "measure": self.measured.of}
        records = train_on_corpus(model, corpus, self.training, **options).records
        return number_rows(model, corpus.count).cpu(), records
