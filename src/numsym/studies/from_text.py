"""From a text to the periods of its numbers: tokenizer, small models, and when each period appears ([F])."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.figures import COLOURS, drawing
from numsym.results import Mean, Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.learners import READ, Cell, Readers, bar, check_learners, grouped, perturbation, read, told
from numsym.studies.periods import Periods
from numsym.tasks.corpus import Corpus
from numsym.tasks.text import PATTERNS, read_text, text_corpus, train_tokenizer
from numsym.training import AdderTraining

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE = "whole"
PERTURBATIONS = (WHOLE, "swapped", "unigrams", "isolated", "context")
NOTES = f"""\
T=: Cohen's kappa x 100 of a linear probe of n mod T on held-out numbers, the mean
over seeds. {READ}
appears: how many number tokens a language model had seen at the first check from
which on kappa stays above that."""


@dataclass(frozen=True, repr=False)
class FromText(Result):
    """What learners made of a text.

    Attributes:
        text: which.
        cut: how its numbers are written in tokens.
        numbers: how many are probed, from 0.
        least: how often the rarest of them occurs.
        tokens: how many there are in the text, and of those how many are numbers.
        cells: one a learner, perturbation and seed.
    """

    text: str
    cut: str
    numbers: int
    least: int
    tokens: tuple[int, int]
    cells: list[Cell]

    name: ClassVar[str] = "from_text"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What was read."""
        return f"{self.text}: numbers 0..{self.numbers - 1} ({self.cut}), kappa x 100"

    def groups(self) -> dict[tuple[str, str], list[Cell]]:
        """The cells that differ in their seed alone, by learner and perturbation."""
        return grouped(self.cells)

    def rows(self) -> list[dict[str, Any]]:
        """A row a learner and perturbation."""
        rows = []
        for (learner, corpus), group in self.groups().items():
            means = {f"T={T}": Mean.of([cell.kappa[T] for cell in group]) for T in group[0].kappa}
            named: dict[str, Any] = {"learner": learner, "text": corpus, "seeds": len(group)}
            rows.append({**named, "read": read(group), **means, "appears": _first(group)})
        return rows

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Kappa, in whole numbers; and when each period appears."""
        kappa, when = [], []
        for row, group in zip(self.rows(), self.groups().values(), strict=True):
            named: dict[str, Any] = {"learner": row["learner"], "text": row["text"]}
            kappas: dict[str, Any] = {key: str(round(m.value)) for key, m in row.items() if key.startswith("T=")}
            kappa.append({**named, **kappas, "read": told(group)})
            when += [{**named, "T": T, "number tokens seen": seen} for T, seen in row["appears"].items()]
        made = {self.title: kappa}
        return {**made, "when a period appears (median over seeds)": when} if when else made

    def figure(self) -> "Figure":
        """Kappa in the end, by learner; and that of the language models on the whole text by number tokens seen."""
        networks = [cell for cell in self.cells if cell.records and cell.corpus == WHOLE]
        ends = [cell for cell in self.cells if cell.corpus == WHOLE]
        names = list(dict.fromkeys(cell.learner for cell in ends))
        courses = list(dict.fromkeys(cell.learner for cell in networks))
        periods = [T for T in (2, 5, 10, 3) if T in self.cells[0].kappa]
        with drawing() as plt:
            figure, line = plt.subplots(
                1, 1 + len(courses), figsize=(4.6 + 2.8 * len(courses), 3.4), squeeze=False, layout="constrained"
            )
            for cell in ends:
                place, colour = names.index(cell.learner), COLOURS[names.index(cell.learner) % len(COLOURS)]
                x = [T + 0.7 * (place / max(len(names) - 1, 1) - 0.5) for T in cell.kappa]
                first = cell is next(one for one in ends if one.learner == cell.learner)
                label = cell.learner if first else None
                line[0, 0].plot(x, list(cell.kappa.values()), "o", markersize=3.5, color=colour, label=label)
            line[0, 0].set(xlabel="period T", ylabel="kappa x 100", title="in the end")
            line[0, 0].axhline(0, color="0.5", linewidth=0.8)
            figure.legend(*line[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=6, fontsize=8)
            for axes, learner in zip(line[0, 1:], courses, strict=True):
                for cell in (one for one in networks if one.learner == learner):
                    for i, T in enumerate(periods):
                        seen, kappa = zip(*((r["numbers"], r[f"kappa_{T}"]) for r in cell.records), strict=True)
                        axes.plot(seen, kappa, color=COLOURS[i], linewidth=1.2, label=f"T = {T}")
                axes.set(xlabel="number tokens seen", title=learner)
                axes.axhline(0, color="0.5", linewidth=0.8)
            if courses:
                shown = dict(zip(*line[0, 1].get_legend_handles_labels()[::-1], strict=True))
                line[0, 1].legend(shown.values(), shown.keys(), fontsize=7)
            figure.suptitle(f"{self.text}: periods of the numbers 0..{self.numbers - 1}")
        return figure


def appears(cell: Cell, T: int) -> int | None:
    """How many number tokens a model had seen at the first check from which on kappa stays above its bar."""
    first = None
    for record in cell.records:
        if record[f"kappa_{T}"] <= bar(cell, T):
            first = None
        elif first is None:
            first = int(record["numbers"])
    return first


def _first(group: Sequence[Cell]) -> dict[int, int]:
    """By period that is read, when it appears: the median over seeds."""
    found = {T: sorted(seen for cell in group if (seen := appears(cell, T)) is not None) for T in read(group)}
    return {T: seen[len(seen) // 2] for T, seen in found.items() if seen}


@study
def from_text(
    text: str,
    *,
    column: str = "text",
    split: str = "train",
    cut: str = "one",
    learners: tuple[str, ...] = ("counts", "ppmi", "word2vec", "lstm", "transformer"),
    perturbations: tuple[str, ...] = ("whole",),
    seeds: int = 1,
    numbers: int | None = None,
    least: int = 5,
    vocabulary: int = 5000,
    length: int = 64,
    isolate: int = 1,
    context: int = 8,
    width: int = 64,
    layers: int = 2,
    optimiser: str = "adamw",
    folds: int = 10,
    C: float | int = 0.01,
    max_period: int = 10,
    training: AdderTraining = AdderTraining(steps=1200, batch_size=32, learning_rate=4e-3, checks=20),
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> FromText:
    """From any text: which periods do the embeddings of its numbers get, in which model, and when?

    Args:
        text: a file, files by a pattern (`docs/*.txt`), or a data set on the Hugging Face hub.
        column: of a data set, where its text is.
        split: of a data set.
        cut: how a number is cut into tokens: "one" (not at all), "digits", "left" or "right" (chunks of three digits).
        learners: "counts" (a control), "ppmi", "word2vec" (gensim, the extra `probes`), or architectures of language
            models: "transformer", "gru", "lstm", "mamba2", "gated_deltanet".
        perturbations: "whole" (none), "swapped", "unigrams", "isolated", "context".
        seeds: of weights and order, the first is `seed`.
        numbers: how many are probed, from 0; by default those that occur `least` times each, at most 1,000, in tens.
        least: how often each must occur.
        vocabulary: the most tokens beside the numbers.
        length: tokens that a learner sees together.
        isolate: of "isolated": how many numbers a row may hold.
        context: of "context": how many tokens a row has.
        width: d of all embeddings.
        layers: of the language models, but GRU and LSTM, which have one.
        optimiser: of the language models, "adamw" or "muon".
        folds: of the probe.
        C: inverse penalty of the probe.
        max_period: the probe's periods are 2..max_period.
        training: of the language models.
        seed: of weights, order and folds.
        device: where they are trained.
        run: where the parts are kept and the result is shown.

    Raises:
        InvalidArgumentError: a number is out of range, a name is unknown, or the text has too few numbers.
    """
    check_name("cut", cut, PATTERNS)
    check_learners(learners, optimiser)
    for name in perturbations:
        check_name("perturbation", name, PERTURBATIONS)
    counts = {"number of perturbations": len(perturbations), "seeds": seeds, "isolate": isolate}
    for name, value in {**counts, "context": context - 1, "max_period": max_period - 1}.items():
        check_at_least(name, value, 1)
    texts = read_text(text, column=column, split=split)
    tokenizer, count = train_tokenizer(texts, cut=cut, vocabulary=vocabulary, numbers=numbers, least=least)
    if count // max_period < folds:
        raise InvalidArgumentError(
            f"the text has too few numbers: those of 0..{count - 1} occur least={least} times each, and max_period="
            f"{max_period} with folds={folds} needs {folds * max_period}; give more text, or smaller ones"
        )
    measured = Periods(count, max_period, folds, C)
    corpus = text_corpus(texts, tokenizer, count, length=length)
    readers = Readers(learners, width, layers, optimiser, training, measured, device)
    said = {"text": text, "cut": cut, "tokens": int((corpus.rows != corpus.pad).sum()), "vocabulary": vocabulary}
    cells: list[Cell] = []
    for how in perturbations:
        generator = torch.Generator().manual_seed(seed)
        part = perturbation(corpus, "" if how == WHOLE else how, isolate, context, generator)
        asked = {**said, "perturbation": how, "isolate": isolate, "context": context, "length": length}
        for own in range(seed, seed + seeds):
            cells += readers.cells(part, how, own, asked, run)
    return run.show(FromText(text, cut, count, int(corpus.occurrences.min()), _sizes(corpus), cells))


def _sizes(corpus: Corpus) -> tuple[int, int]:
    return int((corpus.rows != corpus.pad).sum()), int(corpus.occurrences.sum())
