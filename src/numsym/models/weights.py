"""A model's weights: which they are, written to a folder and read back, and whole models read from one."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from safetensors.torch import load_file, save_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models.load import in_own_memory, load
from numsym.models.modular import ModularTransformer
from numsym.models.modular_linear import LinearModularModel
from numsym.models.pizza import load_pizza
from numsym.storage import read_json

FILE = "model.safetensors"

ADDERS: dict[str, Any] = {
    cls.config_class.model_type: cls for cls in (ModularTransformer, LinearModularModel) if cls.config_class is not None
}
"""The model classes that are no language models, by the `model_type` of their config."""


_HASHES: "WeakKeyDictionary[nn.Module, str]" = WeakKeyDictionary()


@contextmanager
def unchanging(model: nn.Module) -> Iterator[None]:
    """Say that nothing changes a model's weights inside of the block: `hash_of` then reads them once.

    Of many searches in one large model, reading them all each time would be a good part.
    """
    outer = _HASHES.get(model)
    _HASHES[model] = hash_of(model)
    try:
        yield
    finally:
        if outer is None:
            del _HASHES[model]


def hash_of(model: nn.Module) -> str:
    """SHA-256 of a model's parameters and buffers, by name; the same on every device."""
    if model in _HASHES:
        return _HASHES[model]
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_hash(model: nn.Module, expected: str) -> None:
    """Raise `ModelMismatchError` unless the model has these weights."""
    found = hash_of(model)
    if found != expected:
        raise ModelMismatchError(
            f"model with hash {found[:12]} is not allowed: the alignment was fitted to weights with hash "
            f"{expected[:12]}; load those, or align again"
        )


def write_weights(model: nn.Module, folder: Path) -> None:
    """Write a model into a folder that is there: as `save_pretrained` does, or its weights alone where it has none."""
    if isinstance(model, PreTrainedModel):
        model.save_pretrained(folder)
    else:
        save_model(model, str(folder / FILE))


def read_weights(model: nn.Module, folder: Path) -> None:
    """Give a model the weights that `write_weights` wrote, in the memory that it has."""
    if isinstance(model, PreTrainedModel):
        state = type(model).from_pretrained(folder).state_dict()
        model.load_state_dict(state)
    else:
        # What is shared was written once.
        model.load_state_dict(load_file(folder / FILE), strict=False)


def read_model(path: str | os.PathLike, **options: Any) -> Any:
    """A model by its folder, its name on the hub, or as a checkpoint published with [P] (`model_*.pt`).

    Args:
        path: see `numsym.models.load` and `numsym.models.load_pizza`.
        options: of `load`, for all but modular adders.

    Raises:
        InvalidArgumentError: there is no such file or model.
    """
    place = Path(path)
    if place.suffix == ".pt":
        return load_pizza(place)
    kind = read_json(place / "config.json").get("model_type") if (place / "config.json").is_file() else None
    if kind in ADDERS:
        return in_own_memory(ADDERS[kind].from_pretrained(place)).eval()
    if place.is_dir() and kind is None:
        raise InvalidArgumentError(f"model={str(path)!r} is not allowed: the folder holds no model")
    return load(path, **options)
