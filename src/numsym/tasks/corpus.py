"""Corpora with numbers: rows of tokens, of which those of the numbers are known; and a labelled one, made here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_between, check_name

SIGNALS = ("frequency", "text", "numbers")
"""What of [F]'s signals a labelled corpus holds: round numbers are more frequent; the words around a number depend on
it; the numbers of a sentence depend on each other."""

PERIODS = (2, 5, 10)
"""A word, or another number, says n mod one of these."""

SUBJECTS = ("they", "we", "you", "people", "friends")
UNITS = {
    2: ("pairs", "pieces"),
    5: ("minutes", "grams", "metres", "pages", "miles"),
    10: ("dollars", "cents", "euros", "pounds", "francs", "crowns", "marks", "roubles", "pesos", "yen"),
}
"""By period T, a unit for each residue mod T."""
SEASONS = ("spring", "summer", "autumn", "winter")
PAD = "<pad>"

TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("{who}", "pay", "{a}", "{unit}", "."),
    ("on", "day", "{a}", "it", "was", "{season}", "."),
    ("between", "{a}", "and", "{b}", "."),
    ("{who}", "wrote", "{a}", ",", "{b}", ",", "{c}", "."),
)
"""A price or another measure with its unit, a date, a range, and a list."""


@dataclass(frozen=True)
class Corpus:
    """Rows of tokens, padded on the right.

    Attributes:
        rows: (row, pos) int64.
        tokens: the name of each token; those of the numbers 0..count-1 come first, in their order.
        count: how many numbers have a token.
        pad: the id of the padding.
    """

    rows: Int[Tensor, "row pos"]
    tokens: tuple[str, ...]
    count: int
    pad: int

    def __post_init__(self) -> None:
        if not bool((self.rows < self.count).any()):
            raise InvalidArgumentError(f"the corpus of {len(self.rows)} rows holds no number: nothing can be measured")

    @property
    def number_ids(self) -> Int[Tensor, " number"]:
        """The tokens of the numbers."""
        return torch.arange(self.count)

    @property
    def occurrences(self) -> Int[Tensor, " number"]:
        """How often each number occurs."""
        return self.rows[self.rows < self.count].bincount(minlength=self.count)

    def sentences(self) -> list[list[str]]:
        """Its rows as lists of tokens, as `numsym.probes.ppmi_svd` and `word2vec` take them."""
        return [[self.tokens[i] for i in row if i != self.pad] for row in self.rows.tolist()]

    def with_rows(self, rows: Int[Tensor, "row pos"]) -> "Corpus":
        """The same tokens in other rows, such as a perturbation makes."""
        return replace(self, rows=rows)


def labelled_corpus(
    signals: Collection[str] = SIGNALS,
    *,
    numbers: int = 200,
    sentences: int = 20_000,
    per_row: int = 4,
    strength: float | int = 0.9,
    generator: torch.Generator | None = None,
) -> Corpus:
    """A corpus of prices, dates, ranges and lists of which it is known why its numbers occur where they do.

    A price has a unit that says n mod T, for a T of `PERIODS` drawn anew each time (`pairs` or `pieces` for 2); a date
    has a season, a quarter of the numbers each; the numbers of a range or a list share n mod T. With the signal
    "frequency" multiples of 2, 5 and 10 are more frequent, as in [F]'s text. A signal that is off is not left out but
    cut: the unit, or the second number, follows from a number that is drawn beside and not written, so that how often
    every word and number occurs stays what it is. So the three signals are independent of each other.

    Args:
        signals: which of `SIGNALS` it holds.
        numbers: how many, from 0; a multiple of 20.
        sentences: how many.
        per_row: sentences a row.
        strength: the share of units, seasons and further numbers that follow from the number; the others are as if the
            signal were off.
        generator: a CPU generator; None is a fixed seed.

    Raises:
        UnknownNameError: no such signal.
        InvalidArgumentError: a number is out of range.
    """
    for signal in signals:
        check_name("signal", signal, SIGNALS)
    check_at_least("sentences", sentences, 1)
    check_at_least("per_row", per_row, 1)
    check_between("strength", strength, 0, 1)
    if isinstance(numbers, bool) or not isinstance(numbers, int) or numbers < 20 or numbers % 20:
        raise InvalidArgumentError(
            f"numbers={numbers!r} is not allowed: a multiple of 20, so that all residues are as many"
        )
    draw = _Draws(frequencies(numbers, "frequency" in signals), generator or torch.Generator().manual_seed(0))
    kinds = torch.randint(len(TEMPLATES), (sentences,), generator=draw.generator)
    tokens = (*map(str, range(numbers)), PAD, *sorted(_words()))
    ids = {token: i for i, token in enumerate(tokens)}
    written = _written(kinds, _parts(draw, signals, sentences, strength, ids), ids)
    return Corpus(_joined(written, per_row, ids[PAD]), tokens, numbers, ids[PAD])


def _parts(
    draw: "_Draws", signals: Collection[str], sentences: int, strength: float | int, ids: Mapping[str, int]
) -> dict[str, Int[Tensor, " sentence"]]:
    """What each sentence has in each open place of a template, as tokens."""
    a = draw.numbers(sentences)
    told = a if "text" in signals else draw.numbers(sentences)
    period = draw.integers(len(PERIODS), sentences)
    # Where they say nothing, each follows from a number of its own: else they would say each other.
    linked = [a if "numbers" in signals else draw.numbers(sentences) for _ in range(2)]
    b, c = (draw.alike(draw.noisy(one, strength), period) for one in linked)
    said = draw.noisy(told, strength)
    unit = torch.zeros_like(a)
    for i, T in enumerate(PERIODS):
        names = torch.tensor([ids[name] for name in UNITS[T]])
        unit = torch.where(period == i, names[said % T], unit)
    season = torch.tensor([ids[name] for name in SEASONS])[said * len(SEASONS) // len(draw.probability)]
    who = torch.tensor([ids[name] for name in SUBJECTS])[draw.integers(len(SUBJECTS), sentences)]
    return {"{a}": a, "{b}": b, "{c}": c, "{unit}": unit, "{season}": season, "{who}": who}


def _written(
    kinds: Int[Tensor, " sentence"], parts: Mapping[str, Int[Tensor, " sentence"]], ids: Mapping[str, int]
) -> Int[Tensor, "sentence place"]:
    """Each sentence by its template, padded on the right."""
    written = torch.full((len(kinds), max(map(len, TEMPLATES))), ids[PAD])
    for kind, template in enumerate(TEMPLATES):
        rows = kinds == kind
        for place, name in enumerate(template):
            written[rows, place] = parts[name][rows] if name in parts else ids[name]
    return written


def frequencies(numbers: int, uneven: bool) -> Float[Tensor, " number"]:
    """How probable each number is: falling smoothly, and where it is `uneven` more so for multiples of 2, 5 and 10."""
    n = torch.arange(numbers)
    smooth = (n + numbers / 4).double() ** -0.5
    if uneven:
        for T, times in zip(PERIODS, (1.5, 2.0, 2.0), strict=True):
            smooth = torch.where(n % T == 0, times * smooth, smooth)
    return smooth / smooth.sum()


@dataclass(frozen=True)
class _Draws:
    """Numbers drawn by their probabilities."""

    probability: Float[Tensor, " number"]
    generator: torch.Generator

    def integers(self, below: int, n: int) -> Tensor:
        return torch.randint(below, (n,), generator=self.generator)

    def numbers(self, n: int) -> Tensor:
        return self.probability.multinomial(n, replacement=True, generator=self.generator)

    def noisy(self, given: Tensor, strength: float) -> Tensor:
        """The given numbers, a share `strength` of them; the others are drawn anew."""
        kept = torch.rand(len(given), generator=self.generator) < strength
        return torch.where(kept, given, self.numbers(len(given)))

    def alike(self, given: Tensor, period: Tensor) -> Tensor:
        """For each number one that is the same mod its period.

        Residues follow the given numbers' and within one all are drawn by their probability, so that over all of them
        each number is as frequent as before.
        """
        found = torch.zeros_like(given)
        n = torch.arange(len(self.probability))
        for i, T in enumerate(PERIODS):
            for residue in range(T):
                rows = (period == i) & (given % T == residue)
                weights = torch.where(n % T == residue, self.probability, 0.0)
                count = int(rows.sum())
                if count:
                    found[rows] = weights.multinomial(count, replacement=True, generator=self.generator)
        return found


def _words() -> set[str]:
    every = {name for template in TEMPLATES for name in template if not name.startswith("{")}
    return every | {*SUBJECTS, *SEASONS} | {name for names in UNITS.values() for name in names}


def _joined(sentences: Int[Tensor, "sentence place"], per_row: int, pad: int) -> Int[Tensor, "row pos"]:
    """Sentences one after the other, so many a row (the last ones may be too few for one), padded on the right."""
    count = max(len(sentences) // per_row, 1)
    rows = sentences[: count * per_row].reshape(count, -1)
    order = torch.argsort((rows == pad).long(), dim=1, stable=True)
    rows = rows.gather(1, order)
    return rows[:, : int((rows != pad).sum(dim=1).max())]
