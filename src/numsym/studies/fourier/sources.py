"""Where the embeddings of the systems come from: packages, files, models, or the caller."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.probes.inputs import Embeddings, check_embeddings
from numsym.probes.packaged import PACKAGED, NumberTable, check_packaged, hugging_face
from numsym.probes.vectors import is_vectors, read_vectors

MOST = 1000
"""So many numbers are measured where it is not said how many, if there are as many."""


@dataclass(frozen=True)
class Table:
    """Where the embeddings of a system and of its controls come from; they are read when they are measured.

    Attributes:
        asked: what tells it from others.
        count: how many numbers it has, or may have where it is not read yet.
        read: gives the embeddings, and the stand-in for the frequency of each number, if there is one.
    """

    asked: str
    count: int
    read: Callable[[], tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]]


def tables_of(systems: Mapping[str, Embeddings] | None, source: str | None, numbers: int | None) -> dict[str, Table]:
    """What is to be measured, by name; see `fourier`."""
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
            name: Table(source or name, numbers or MOST, partial(_read, make, numbers)) for name, make in found.items()
        }
    made = {}
    for name, given in systems.items():
        table = check_embeddings(given)
        if numbers is not None and numbers > len(table):
            raise InvalidArgumentError(f"numbers={numbers} is not allowed: {name!r} has {len(table)} rows")
        table = table[:numbers]
        digest = hashlib.sha256(table.cpu().contiguous().numpy().tobytes()).hexdigest()
        made[name] = Table(digest, len(table), partial(lambda rows: (rows, None), table))
    return made


def _read(
    make: Callable[[int | None], NumberTable], numbers: int | None
) -> tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]:
    table = make(numbers)
    count = numbers or min(MOST, len(table.embeddings)) // 10 * 10
    frequency = table.frequency
    return check_embeddings(table.embeddings)[:count], None if frequency is None else frequency[:count]
