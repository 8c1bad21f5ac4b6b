"""Number embeddings from a file of static vectors: text as word2vec, GloVe and fastText write it, npy, safetensors."""

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.probes.packaged import NumberTable

TABLES = (".npy", ".safetensors")
SUFFIXES = (".txt", ".vec", *TABLES)


def is_vectors(source: str | os.PathLike) -> bool:
    """Whether this is a file that `read_vectors` reads."""
    path = Path(source).expanduser()
    return path.suffix in SUFFIXES and path.is_file()


def read_vectors(source: str | os.PathLike, numbers: int | None = None) -> NumberTable:
    """The vectors of the numbers 0, 1, ... in a file.

    Args:
        source: text (`.txt`, `.vec`) with a word and its values a line, after a line of two counts as word2vec and
            fastText have it, or not, as GloVe; the line stands for the rank, since all three write the most frequent
            words first. Or a table (N, d), row n the number n: `.npy`, or `.safetensors` with one matrix; it has no
            ranks.
        numbers: how many; as many from 0 as there are if not given.

    Raises:
        InvalidArgumentError: the file cannot be read as such, a number is missing or stands there twice, or one of its
            values is no number.
    """
    path = Path(source).expanduser()
    if path.suffix in TABLES:
        table = _table(path)
        if numbers is not None and numbers > len(table):
            raise InvalidArgumentError(f"numbers={numbers} is not allowed: {path.name} has {len(table)} rows")
        return NumberTable(table[:numbers], None)
    found = _lines(path)
    count = next(n for n in range(len(found) + 1) if n not in found)
    if count < 4 or (numbers is not None and numbers > count):
        asked = "too few numbers" if numbers is None else f"numbers={numbers}"
        raise InvalidArgumentError(f"{asked} is not allowed: {path.name} has no vector of {count}, but of those before")
    chosen = [found[n] for n in range(count if numbers is None else numbers)]
    widths = {len(values) for _, values in chosen}
    if len(widths) > 1:
        raise InvalidArgumentError(f"{path.name} is not allowed: its vectors are of {len(widths)} different widths")
    return NumberTable(torch.tensor([values for _, values in chosen]), torch.tensor([rank for rank, _ in chosen]))


def _lines(path: Path) -> dict[int, tuple[int, list[float]]]:
    """By number: the line, counted from the first vector, and the values."""
    found: dict[int, tuple[int, list[float]]] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for place, line in enumerate(file):
            word, _, rest = line.rstrip().partition(" ")
            if not (word.isdecimal() and word.isascii() and str(int(word)) == word):
                continue
            parts = rest.split()
            if place == 0 and len(parts) == 1:  # how many vectors follow, and how wide they are
                continue
            if int(word) in found:
                raise InvalidArgumentError(f"{path.name} is not allowed: {word} stands there twice")
            try:
                found[int(word)] = place, [float(one) for one in parts]
            except ValueError as error:
                raise InvalidArgumentError(f"{path.name} is not allowed: line {place + 1}: {error}") from None
    return found


def _table(path: Path) -> Float[Tensor, "number hidden"]:
    try:
        if path.suffix == ".npy":
            return torch.from_numpy(np.load(path, allow_pickle=False))
        from safetensors.torch import load_file

        tables = [one for one in load_file(path).values() if one.ndim == 2]
    except Exception as error:  # safetensors has an error of its own
        raise InvalidArgumentError(f"{path.name} is not allowed: it cannot be read ({error})") from None
    if len(tables) != 1:
        raise InvalidArgumentError(f"{path.name} is not allowed: it holds {len(tables)} matrices, and one is needed")
    return tables[0]
