"""Whether number embeddings of real models have periods, and whether a probe reads n mod T ([F], figure 1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from numsym.errors import check_at_least, check_name
from numsym.probes import helix, residue, shuffled, spectrum
from numsym.probes.inputs import Embeddings, check_periods
from numsym.probes.residue import check_settings
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.fourier.layers import by_layer, draw
from numsym.studies.fourier.sources import WHERE, Table, states_of, tables_of
from numsym.studies.fourier.system import FREQUENCY, SHUFFLED, System
from numsym.studies.fourier.verdicts import periods_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = """\
kappa: Cohen's kappa x 100 of a linear probe on held-out numbers, with a 95 %
interval over folds; shuffled: what it is for shuffled numbers, with the interval
that one more shuffle falls into. frequency-like: the probe of minus the
logarithm of a number's frequency rank alone. Peaks: period (x median). Fisher:
the largest eigenvalue of S_W^-1 S_B between its bounds by Theorem 1, in the
leading N / 10 principal components (in more, any residues would be apart).
believe: n mod T is read better than from shuffled numbers, than from frequency
and than n mod a shorter believed period tells, and T has a spike of its own."""

CIRCLES = (2, 5, 10, 100)
"""Periods of the helix."""


@dataclass(frozen=True, repr=False)
class Fourier(Result):
    """Several systems, by name."""

    systems: dict[str, System]

    name: ClassVar[str] = "fourier"
    notes: ClassVar[str] = NOTES

    def __getitem__(self, name: str) -> System:
        return self.systems[name]

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "periods of number embeddings: Cohen's kappa x 100 of n mod T"

    def rows(self) -> list[dict[str, Any]]:
        """A row a system and period."""
        rows = [row for system in self.systems.values() for row in system.rows()]
        return [{key: row.get(key) for key in {k: None for one in rows for k in one}} for row in rows]

    @property
    def question(self) -> str:
        """What was asked."""
        return "Which periods of these representations of numbers can be believed?"

    def findings(self) -> list[tuple[str, str]]:
        """A sentence a system and kind of verdict."""
        found = []
        for name, system in self.systems.items():
            kinds: dict[str, list[str]] = {}
            for T, (word, _) in system.verdicts().items():
                kinds.setdefault(word, []).append(str(T))
            found += [(word, f"{name}: T = {', '.join(periods)}") for word, periods in kinds.items()]
        return found

    @property
    def layered(self) -> bool:
        """Whether these are the layers of one model."""
        return all(system.layer is not None for system in self.systems.values())

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Those of each system; of layers, one of them all."""
        if self.layered:
            return {
                f"hidden states at the last token of 0..{self._first.numbers - 1}: kappa x 100": by_layer(self.systems)
            }
        return {title: rows for system in self.systems.values() for title, rows in system.tables().items()}

    @property
    def _first(self) -> System:
        return next(iter(self.systems.values()))

    def figures(self) -> "dict[str, Figure]":
        """One a system; and of layers, one of them all."""
        every = {f"{self.name}_{short(name)}": system.figure() for name, system in self.systems.items()}
        if not self.layered:
            return every
        title = f"{self._first.system.partition(',')[0]}: hidden states of 0..{self._first.numbers - 1}"
        return {f"{self.name}_layers": draw(self.systems, title), **every}


@study
def fourier(
    systems: Mapping[str, Embeddings] | None = None,
    *,
    numbers: int | None = None,
    folds: int = 10,
    C: float | int = 0.01,
    peaks: int = 4,
    max_period: int = 10,
    source: str | None = None,
    where: str = "embeddings",
    template: str = "The number {n}",
    layers: tuple[int, ...] = (),
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Fourier:
    """Which periods of my model's numbers can I believe? Spectrum, probe, Fisher discriminant, helix, and controls.

    Args:
        systems: name -> embeddings (N, d), row n the number n. By default the word embeddings of all-MiniLM-L6-v2 and
            GloVe 6B, which come as packages (`pip install numsym[demo]`), each with its token frequencies as a control.
        numbers: how many, from 0; by default as many as there are, at most 1,000, in tens (which keeps the decimal
            frequencies on the spectrum's bins).
        folds: of the probe.
        C: inverse penalty of the probe.
        peaks: how many peaks of each spectrum are named.
        max_period: the probe's periods are 2..max_period.
        source: read these instead: the token embeddings of a model, by its folder or its name on the Hugging Face hub;
            or a file of static vectors (word2vec's, GloVe's or fastText's text, `.npy`, `.safetensors`); or the name of
            a package: "all-MiniLM-L6-v2", "GloVe 6B" (the extra `demo`), "SmolLM2-135M-Instruct" (the extra `llm`).
        where: "embeddings", or "states": what the language model `source` holds after its layers at a number's last
            token in a prompt; numbers of several tokens are fine there.
        template: of "states": the prompt; `{n}` is where the number stands, best not at the start: a model's first
            position is like no other.
        layers: of "states": after which, from 0; all if none is named.
        seed: of the folds and of the shuffles.
        run: where the systems are kept and the result is shown.

    Raises:
        InvalidArgumentError: an argument is not allowed; the message names it, its value and what is.
        NumsymError: no embeddings are named and their packages are not installed.
    """
    check_at_least("peaks", peaks, 1)
    check_at_least("max_period", max_period, 2)
    check_name("where", where, WHERE)
    if where == WHERE[0]:
        tables = tables_of(systems, source, numbers)
    else:
        tables = states_of(systems, source, numbers, template, layers)
    for table in tables.values():
        check_settings(check_periods(range(2, max_period + 1), table.count), folds, C, table.count)
    settings: dict[str, Any] = {"folds": folds, "C": C, "peaks": peaks, "max_period": max_period, "seed": seed}
    measured = {}
    for name, table in tables.items():
        asked = {"of": table.asked, "numbers": numbers, **settings}
        part = f"systems/{short(name)}"
        measured[name] = run.keep(part, partial(_measure, name, table, **settings), System.load, asked=asked)
    return run.show(Fourier(measured))


def _measure(name: str, table: Table, *, folds: int, C: float | int, peaks: int, max_period: int, seed: int) -> System:
    embeddings, frequency = table.read()
    controls = {} if frequency is None else {FREQUENCY: frequency}
    others = {**controls, SHUFFLED: shuffled(embeddings, torch.Generator().manual_seed(seed))}
    every = {name: embeddings, **others}
    probes = {}
    for one, rows in every.items():
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {"C": C, "generator": generator, "baseline": one == name}
        probes[one] = residue(rows, range(2, max_period + 1), folds, **options)
    spectra = {one: spectrum(rows) for one, rows in every.items()}
    known = periods_of(embeddings, others, max_period, seed)
    circles = helix(embeddings, [T for T in CIRCLES if len(embeddings) >= 2 * T])
    return System(spectra, probes, len(embeddings), max_period, peaks, known, circles, table.layer)


def short(name: str) -> str:
    """A name as a file is called."""
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
