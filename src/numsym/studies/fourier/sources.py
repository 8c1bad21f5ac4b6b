"""Where the embeddings of the systems come from: packages, files, models, or the caller."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from numsym._pyvene import layers_with
from numsym.errors import InvalidArgumentError
from numsym.hub import GGUF, load_tokenizer
from numsym.models import Site, load
from numsym.probes.inputs import Embeddings, check_embeddings
from numsym.probes.packaged import PACKAGED, NumberTable, check_packaged, hugging_face, shipped
from numsym.probes.sources import check_prompt, number_tokens, prompt_states_at
from numsym.probes.vectors import is_vectors, read_vectors

WHERE = ("embeddings", "states")

MOST = 1000
"""So many numbers are measured where it is not said how many, if there are as many."""


@dataclass(frozen=True)
class Table:
    """Where the embeddings of a system and of its controls come from; they are read when they are measured.

    Attributes:
        asked: what tells it from others.
        count: how many numbers it has, or may have where it is not read yet.
        layer: after which layer of a model, if it is of one.
        read: gives the embeddings, and the stand-in for the frequency of each number, if there is one.
    """

    asked: str
    count: int
    read: Callable[[], tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]]
    layer: int | None = None


def tables_of(systems: Mapping[str, Embeddings] | None, source: str | None, numbers: int | None) -> dict[str, Table]:
    """What is to be measured, by name; see `fourier`."""
    if systems is not None and (source is not None or not systems):
        what = f"source={source!r} is not allowed with systems" if systems else "systems={} is not allowed"
        raise InvalidArgumentError(f"{what}: give embeddings by name, or the source of some, or neither")
    if source is not None and source not in PACKAGED:
        # Read at once: what is wrong with it is said before there is a folder.
        own = _read(read_vectors if is_vectors(source) else _embedded, source, numbers)
        return {Path(source).name: Table(source, len(own[0]), lambda: own)}
    if systems is None:
        chosen = {name: read for name, (_, read) in PACKAGED.items() if source in (None, name)}
        for name in chosen:
            check_packaged(name)
        return {name: Table(name, numbers or MOST, partial(_read, read, numbers)) for name, read in chosen.items()}
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
    make: Callable[..., NumberTable], *given: Any
) -> tuple[Float[Tensor, "number hidden"], Float[Tensor, "number 1"] | None]:
    """The table that `make` gives, in tens where it is not said how many numbers (the last of `given`)."""
    table, numbers = make(*given), given[-1]
    there = len(table.embeddings)
    count = numbers or (min(MOST, there) // 10 * 10 or there)
    frequency = table.frequency
    return check_embeddings(table.embeddings)[:count], None if frequency is None else frequency[:count]


def _embedded(source: str, numbers: int | None) -> NumberTable:
    """The token embeddings of a model, if enough numbers are single tokens."""
    table = hugging_face(shipped(source), numbers)
    if numbers is None and len(table.embeddings) <= 10:
        raise InvalidArgumentError(
            f"source={source!r} is not allowed with where='embeddings': its tokenizer cuts numbers into digits, so "
            f"that only {len(table.embeddings)} have an embedding; where='states' reads what the model holds of them"
        )
    return table


def states_of(
    systems: Mapping[str, Embeddings] | None,
    source: str | None,
    numbers: int | None,
    template: str,
    layers: tuple[int, ...],
) -> dict[str, Table]:
    """What a language model holds after its layers, by name; see `fourier`."""
    if systems is not None or source is None:
        raise InvalidArgumentError("where='states' is not allowed without a source, the language model to read, alone")
    count = MOST if numbers is None else numbers
    check_prompt(template)
    place = shipped(source)
    model, tokenizer = load(place), load_tokenizer(place)
    there = layers_with(model, "block_output")
    for layer in layers:
        if layer not in there:
            raise InvalidArgumentError(f"layers={layers} is not allowed: {source} has the layers 0..{len(there) - 1}")
    sites = {layer: Site("block_output", layer) for layer in layers or there}

    @cache
    def states() -> dict[Site, Tensor]:
        return prompt_states_at(model, tokenizer, range(count), sites.values(), template=template)

    try:  # the id of a number's token, where it has one of its own, says how frequent it is
        rank = number_tokens(tokenizer, range(count))[1]
    except InvalidArgumentError:
        rank = None

    def read(site: Site) -> tuple[Tensor, Tensor | None]:
        table = NumberTable(states()[site], rank)
        return check_embeddings(table.embeddings), table.frequency

    asked, name = f"{source}, {template}", Path(source).name.removesuffix(GGUF)
    return {
        f"{name}, after layer {layer}": Table(f"{asked}, {site}", count, partial(read, site), layer)
        for layer, site in sites.items()
    }
