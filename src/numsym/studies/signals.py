"""Which signal of a text gives number embeddings their periods ([F], data perturbations), on a labelled corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.figures import drawing
from numsym.results import Mean, Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.learners import READ, Cell, Readers, check_learners, grouped, perturbation, read, told
from numsym.studies.periods import Periods
from numsym.tasks.corpus import PERIODS, SIGNALS, Corpus, labelled_corpus
from numsym.training import AdderTraining

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORPORA: dict[str, tuple[str, ...]] = {
    "none": (),
    "frequency": ("frequency",),
    "text": ("text",),
    "numbers": ("numbers",),
    "all": SIGNALS,
    "all, swapped": SIGNALS,
    "all, unigrams": SIGNALS,
    "all, isolated": SIGNALS,
    "all, context": SIGNALS,
}
"""Name -> its signals. The last four are perturbed as [F] does it."""

NOTES = f"""\
T=: Cohen's kappa x 100 of a linear probe of n mod T on held-out numbers, the mean
over seeds with a 95 % t-interval. phi_10: the share of the embeddings' power at the
period 10 and its harmonics. {READ}"""


@dataclass(frozen=True, repr=False)
class Signals(Result):
    """Learners on corpora.

    Attributes:
        numbers: how many are probed, from 0.
        cells: one a learner, corpus and seed.
    """

    numbers: int
    cells: list[Cell]

    name: ClassVar[str] = "signals"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What is compared."""
        return f"which signal gives periods: embeddings of 0..{self.numbers - 1}, kappa x 100"

    def groups(self) -> dict[tuple[str, str], list[Cell]]:
        """The cells that differ in their seed alone, by learner and corpus."""
        return grouped(self.cells)

    def rows(self) -> list[dict[str, Any]]:
        """A row a learner and corpus."""
        rows = []
        for (learner, corpus), group in self.groups().items():
            means = {f"T={T}": Mean.of([cell.kappa[T] for cell in group]) for T in group[0].kappa}
            phi = {f"phi_{T}": Mean.of([cell.phi[T] for cell in group]) for T in group[0].phi}
            named: dict[str, Any] = {"learner": learner, "corpus": corpus, "seeds": len(group)}
            rows.append({**named, "read": read(group), **means, **phi})
        return rows

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """A table a corpus: a row a learner, with the planted periods, two that are not, and what is read."""
        made: dict[str, list[dict[str, Any]]] = {}
        for row, group in zip(self.rows(), self.groups().values(), strict=True):
            shown = [key for key in ("T=2", "T=5", "T=10", "T=3", "T=7", "phi_10") if key in row]
            one: dict[str, Any] = {"learner": row["learner"], **{key: row[key] for key in shown}, "read": told(group)}
            made.setdefault(f"corpus: {row['corpus']}", []).append(one)
        return made

    def figure(self) -> "Figure":
        """Kappa by learner and corpus as colours and numbers, a panel a period; bold where the period is read."""
        groups = self.groups()
        learners, corpora = (list(dict.fromkeys(key[i] for key in groups)) for i in (0, 1))
        periods = [T for T in (2, 5, 10, 3) if T in self.cells[0].kappa]
        with drawing(**{"axes.grid": False}) as plt:
            size = (2.1 + 1.1 * len(learners) * len(periods) / 2, 2 * (0.32 * len(corpora) + 1.0))
            rows, columns = -(-len(periods) // 2), min(len(periods), 2)
            figure, grid = plt.subplots(
                rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
            )
            for axes in grid.flat[len(periods) :]:
                axes.set_axis_off()
            for axes, T in zip(grid.flat, periods, strict=False):
                means = [[_mean(groups.get((one, other), []), T) for one in learners] for other in corpora]
                image = axes.imshow(means, vmin=-100, vmax=100, cmap="RdBu", aspect="auto")
                for y, other in enumerate(corpora):
                    for x, one in enumerate(learners):
                        group = groups.get((one, other), [])
                        weight = "bold" if T in read(group) else "normal"
                        colour = "white" if abs(means[y][x]) > 65 else "black"
                        text = f"{means[y][x]:.0f}" if group else ""
                        axes.text(x, y, text, ha="center", va="center", weight=weight, color=colour, fontsize=8)
                axes.set_title(f"T = {T}" + ("" if T in PERIODS else " (not planted)"), fontsize=9)
                axes.set_xticks(range(len(learners)), [one.replace("_", "\n") for one in learners], fontsize=7)
                axes.set_yticks(range(len(corpora)), corpora, fontsize=8)
            figure.colorbar(image, ax=grid, label="kappa x 100", shrink=0.8)
            figure.suptitle("Which signal of a text gives periods? Bold: read with every seed")
        return figure


def _mean(group: Sequence[Cell], T: int) -> float:
    return sum(cell.kappa[T] for cell in group) / len(group) if group else float("nan")


@study
def signals(
    *,
    learners: tuple[str, ...] = ("counts", "ppmi", "word2vec", "lstm", "transformer", "mamba2"),
    corpora: tuple[str, ...] = (
        "none",
        "frequency",
        "text",
        "numbers",
        "all",
        "all, swapped",
        "all, unigrams",
        "all, isolated",
        "all, context",
    ),
    seeds: int = 3,
    numbers: int = 200,
    sentences: int = 20_000,
    per_row: int = 4,
    strength: float | int = 0.9,
    isolate: int = 1,
    context: int = 4,
    width: int = 32,
    layers: int = 1,
    optimiser: str = "adamw",
    folds: int = 10,
    C: float | int = 0.01,
    max_period: int = 10,
    training: AdderTraining = AdderTraining(steps=400, batch_size=32, learning_rate=1.6e-2),
    seed: int = 0,
    device: str | torch.device = "cpu",
    run: NoRun = NO_RUN,
) -> Signals:
    """Which signal gives periods: frequency, the words around a number, other numbers? On a corpus where it is known.

    Args:
        learners: "counts" (a control), "ppmi", "word2vec" (gensim, the extra `probes`), or architectures of language
            models: "transformer", "gru", "lstm", "mamba2", "gated_deltanet".
        corpora: "none", "frequency", "text", "numbers", "all": which signals a corpus holds (`labelled_corpus`); and
            the last one perturbed: "all, swapped", "all, unigrams", "all, isolated", "all, context".
        seeds: how many corpora of each kind, each with one network of each kind, the first from `seed`.
        numbers: how many, from 0.
        sentences: of a corpus.
        per_row: sentences that stand together: a learner sees nothing beyond.
        strength: the share of units, seasons and further numbers that follow from the number.
        isolate: of "all, isolated": how many numbers a row may hold.
        context: of "all, context": how many tokens a row has.
        width: d of all embeddings.
        layers: of the language models, but GRU and LSTM, which have one.
        optimiser: of the language models, "adamw" or "muon".
        folds: of the probe.
        C: inverse penalty of the probe.
        max_period: the probe's periods are 2..max_period.
        training: of the language models.
        seed: of corpora, weights, order and folds.
        device: where they are trained.
        run: where the parts are kept and the result is shown.

    Raises:
        InvalidArgumentError: a number is out of range, or a name is unknown.
    """
    check_learners(learners, optimiser)
    for name in corpora:
        check_name("corpus", name, CORPORA)
    counts = {"number of corpora": len(corpora), "seeds": seeds, "isolate": isolate, "context": context}
    for name, value in counts.items():
        check_at_least(name, value, 1)
    measured = Periods(numbers, max_period, folds, C)
    if width > numbers:
        raise InvalidArgumentError(f"width={width} is not allowed: there are numbers={numbers}")
    made: dict[str, Any] = {
        "numbers": numbers, "sentences": sentences, "per_row": per_row, "strength": strength,
    }  # fmt: skip
    readers = Readers(learners, width, layers, optimiser, training, measured, device)
    cells = []
    for name, own in product(corpora, range(seed, seed + seeds)):
        corpus = perturbed(name, own, isolate, context, made)
        asked = {"corpus": name, "isolate": isolate, "context": context, **made}
        for cell in readers.cells(corpus, name, own, asked, run):
            cells.append(cell)
            run.say(f"{name}, {cell.learner}, seed {own}: read {', '.join(map(str, read([cell]))) or 'none'}")
    return run.show(Signals(numbers, cells))


def perturbed(name: str, seed: int, isolate: int, context: int, settings: dict[str, Any]) -> Corpus:
    """A corpus of `CORPORA`.

    Args:
        name: which.
        seed: of all that is drawn.
        isolate: how many numbers a row of "all, isolated" holds.
        context: how many tokens a row of "all, context" has.
        settings: of `labelled_corpus`.
    """
    generator = torch.Generator().manual_seed(seed)
    corpus = labelled_corpus(CORPORA[name], generator=generator, **settings)
    return perturbation(corpus, name.partition(", ")[2], isolate, context, generator)
