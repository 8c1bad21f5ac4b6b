"""What every probe checks about the embeddings and numbers that it is given, before any work starts."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError

HALF_PRECISION = (torch.float16, torch.bfloat16)

Embeddings: TypeAlias = Any
"""Embeddings (N, d), one row a number: a tensor, a NumPy array, or what else `torch.as_tensor` takes."""


def check_embeddings(embeddings: Embeddings) -> Float[Tensor, "number hidden"]:
    """Return the embeddings as a probe computes with them: a tensor, detached, half precision widened to float32.

    Args:
        embeddings: one row a number, (N, d); row i belongs to the i-th number. float64 stays float64.

    Raises:
        InvalidArgumentError: not a floating-point matrix of at least four numbers; a value is NaN or infinite; the rows
            are all the same, or some are (which several numbers with a single feature may be).
    """
    try:
        embeddings = torch.as_tensor(embeddings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError(
            f"embeddings of type {type(embeddings).__name__} are not allowed: give numbers, (N, d) ({error})"
        ) from None
    shape = tuple(embeddings.shape)
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise InvalidArgumentError(
            f"embeddings of shape {shape} and {embeddings.dtype} are not allowed: "
            "give a floating-point tensor (N, d), one row a number"
        )
    if shape[0] < 4 or shape[1] < 1:
        raise InvalidArgumentError(f"embeddings of shape {shape} are not allowed: give at least 4 numbers, 1 feature")
    embeddings = embeddings.detach()
    if embeddings.dtype in HALF_PRECISION:
        embeddings = embeddings.float()
    finite = embeddings.isfinite().all(dim=1)
    if not bool(finite.all()):
        rows = (~finite).nonzero().flatten().tolist()
        raise InvalidArgumentError(
            f"embeddings hold NaN or infinite values in {len(rows)} of {shape[0]} rows (the first is row {rows[0]}): "
            "every value must be finite"
        )
    _check_different(embeddings)
    return embeddings


def _check_different(embeddings: Float[Tensor, "number hidden"]) -> None:
    count, size = len(embeddings), embeddings.abs().amax(dim=0)
    if bool((embeddings.amax(dim=0) - embeddings.amin(dim=0) <= 4 * torch.finfo(embeddings.dtype).eps * size).all()):
        raise InvalidArgumentError("embeddings are the same for every number: there is nothing to measure in constants")
    # Two numbers may well have the same count, say, but not the same vector: then both were read from one row.
    if embeddings.shape[1] > 1:
        different = len(torch.unique(embeddings, dim=0))
        if different < count:
            raise InvalidArgumentError(
                f"embeddings have only {different} different rows for {count} numbers: numbers that share a row (of an "
                "unknown token, or of zeros) cannot be told apart; give numbers that have embeddings of their own"
            )


def check_numbers(numbers: Sequence[int] | Int[Tensor, " number"] | None, count: int) -> int:
    """Return the first of `count` consecutive numbers.

    Args:
        numbers: the number of each row; None stands for 0, 1, ..., count - 1.
        count: how many rows there are.

    Raises:
        InvalidArgumentError: the numbers are of another count, repeat, are not in increasing order, or miss some.
    """
    if numbers is None:
        return 0
    values = torch.as_tensor(numbers).cpu()
    if values.ndim != 1 or len(values) != count or values.is_floating_point():
        raise InvalidArgumentError(
            f"numbers of shape {tuple(values.shape)} and {values.dtype} are not allowed: "
            f"give one integer for each of the {count} embeddings"
        )
    steps = values.diff()
    if bool((steps == 1).all()):
        return int(values[0])
    unique = len(values.unique())
    if unique < count:
        raise InvalidArgumentError(f"numbers repeat: {count} rows hold {unique} different ones; give each number once")
    if bool((steps < 0).any()):
        row = int((steps < 0).nonzero()[0]) + 1
        raise InvalidArgumentError(
            f"numbers are not ordered: row {row} holds {int(values[row])} after {int(values[row - 1])}; "
            "sort the rows by number"
        )
    row = int((steps > 1).nonzero()[0])
    raise InvalidArgumentError(
        f"numbers miss some: {int(values[row])} is followed by {int(values[row + 1])}; "
        "periods are only defined on consecutive numbers"
    )


def check_period(period: int, count: int, *, parameter: str = "period") -> int:
    """Return `period` if `count` consecutive numbers hold it at least twice.

    Raises:
        InvalidArgumentError: the period is not an integer of at least 2 and at most count / 2.
    """
    if isinstance(period, bool) or not isinstance(period, int) or not 2 <= period <= count / 2:
        raise InvalidArgumentError(
            f"{parameter}={period!r} is not allowed: a period is an integer of 2..{count // 2}, "
            f"half of the {count} numbers given"
        )
    return period


def check_periods(periods: Iterable[int], count: int) -> tuple[int, ...]:
    """Return the periods as a tuple, each checked by `check_period`, none twice.

    Raises:
        InvalidArgumentError: there is none, one repeats, or one is not allowed.
    """
    periods = tuple(periods)
    if not periods or len(set(periods)) < len(periods):
        raise InvalidArgumentError(f"periods={periods!r} is not allowed: give one or more different periods")
    return tuple(check_period(period, count, parameter="periods") for period in periods)


def shuffled(embeddings: Embeddings, generator: torch.Generator | None = None) -> Float[Tensor, "number hidden"]:
    """Give each number another number's embedding: the control in which no period can be left.

    Args:
        embeddings: (N, d), left as it is.
        generator: a CPU generator; None is a fixed seed.

    Raises:
        InvalidArgumentError: these are no embeddings.
    """
    checked = check_embeddings(embeddings)
    embeddings = embeddings if isinstance(embeddings, Tensor) else checked
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    return embeddings[torch.randperm(len(embeddings), generator=generator).to(embeddings.device)]
