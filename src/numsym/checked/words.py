"""Types and values in words, as a message says what came and what is allowed."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, ForwardRef, TypeVar, Union, get_args, get_origin

import numpy
from jaxtyping import AbstractArray
from torch import Tensor, nn

SHOWN = 60
"""Characters of a value that a message shows."""

PLAIN = {
    int: ("a whole number", "whole numbers"), float: ("a number", "numbers"), bool: ("true or false", "true or false"),
    str: ("text", "texts"), type(None): ("None", "None"), nn.Module: ("a PyTorch module", "PyTorch modules"),
    Tensor: ("a tensor", "tensors"), Any: ("anything", "anything"), object: ("anything", "anything"),
    os.PathLike: ("a path", "paths"), Path: ("a path", "paths"), Callable: ("a function", "functions"),
}  # fmt: skip
"""Types in words: one, and many."""


def words(hint: Any, *, many: bool = False) -> str:
    """A type in words, as a message says what is allowed: one, or many of it."""
    allowed = list(options(hint))
    if float in allowed and int in allowed:
        allowed.remove(int)
    said = list(dict.fromkeys(_word(one, many) for one in allowed))
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"


def _word(hint: Any, many: bool) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint][many]
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return f"a tensor of shape ({', '.join(hint.dim_str.split())}), {hint.dtype.__name__}"
    if not isinstance(origin, type) or not inner:
        name = hint.__name__ if isinstance(hint, type) else str(hint)
        several = f"{name[:-2]}es" if name.endswith("is") else f"{name}s"
        return several if many else f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    if issubclass(origin, Mapping):
        return f"a mapping from {words(inner[0])} to {words(inner[1])}"
    if origin is type:
        return f"a class of {words(inner[0])}"
    if origin is Callable:
        return "a function"
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"({', '.join(map(words, inner))})"
    return f"a list of {words(inner[0], many=True)}"


def shown(value: Any) -> str:
    """A value in a message: short, and a tensor or an array by its shape."""
    if isinstance(value, Tensor | numpy.ndarray):
        return f"<{type(value).__name__} of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}>"
    if isinstance(value, nn.Module):
        return f"<{type(value).__name__}>"
    try:
        text = repr(value).replace("\n", " ")
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def options(hint: Any) -> Iterator[Any]:
    """The types of a union, or the one type."""
    if get_origin(hint) in (Union, UnionType):
        for one in get_args(hint):
            yield from options(one)
    elif isinstance(hint, TypeVar):
        yield from options(Any if isinstance(hint.__bound__, ForwardRef | None) else hint.__bound__)
    else:
        yield hint
