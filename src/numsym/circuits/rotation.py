"""A causal question about one circle: turn it as if a were a + s; does the answer turn with it?

[P] explains the logits of an isolated circle; here the other circles stay, and one is turned in operand a alone.
A Clock turns the logits of that frequency by exactly the angle of s. In a Pizza the circle of doubled frequency, which
accompanies it, still says where a was, until it is turned as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circles import Circle, find_circles
from numsym.circuits.circularity import principal_components
from numsym.errors import InvalidArgumentError, check_name


@dataclass(frozen=True)
class Following:
    """What turning some circles of operand a does, over all pairs and shifts.

    Attributes:
        frequency: at which the logits are read.
        turned: the frequencies of the circles that were turned.
        before: mean cosine between the phase of the logits and that of a + b, with nothing turned.
        follows: mean cosine between the phase of the logits and that of a + s + b: 1 if they turn by all of s.
        stays: mean cosine with the phase of a + b: 1 if they do not turn.
        answers: share of pairs and shifts whose largest logit is a + s + b.
    """

    frequency: int
    turned: tuple[int, ...]
    before: float
    follows: float
    stays: float
    answers: float


def shift_circles(model: Adder | ModularModel, circles: Iterable[Circle], shift: int, *, operand: str = "a") -> Adder:
    """The same network reading a (or b) with some circles where a + shift has them, and the rest where a has it.

    On the principal components of the circles, token t gets the value of token t + shift modulo p. It is the
    interchange of that subspace with a source whose operand is shifted.

    Args:
        model: a modular adder.
        circles: which are turned, of `find_circles(model)`.
        shift: by how many tokens.
        operand: "a" or "b".

    Raises:
        InvalidArgumentError: no circle is given, one is of another p, or the operand is unknown.
    """
    adder, circles = as_adder(model), list(circles)
    check_name("operand", operand, ("a", "b"))
    if not circles:
        raise InvalidArgumentError("circles=[] is not allowed: name at least one circle to turn")
    for circle in circles:
        if circle.p != adder.p:
            raise InvalidArgumentError(f"circle is of p={circle.p}, but the model of p={adder.p}")
    joint = adder.joint_embeddings().double()
    kept = sorted({component for circle in circles for component in circle.components})
    scores, sizes, directions = principal_components(joint)
    part = (scores[:, kept] * sizes[kept]) @ directions[kept]
    turned = adder.with_joint_embeddings(joint - part + part.roll(-shift, 0))
    return replace(adder, embed_a=turned.embed_a) if operand == "a" else replace(adder, embed_b=turned.embed_b)


def following(
    model: Adder | ModularModel, circles: Sequence[Circle], *, shifts: Sequence[int] | None = None
) -> Following:
    """Turn `circles` of operand a and read the phase of the logits at the frequency of the first one.

    Args:
        model: a modular adder.
        circles: turned together.
        shifts: by how much; by default every shift 1..p-1.

    Raises:
        InvalidArgumentError: no circle is given, one is of another p, or there is no shift.
    """
    adder = as_adder(model)
    shifts = range(1, adder.p) if shifts is None else shifts
    if not shifts:
        raise InvalidArgumentError("shifts=[] is not allowed: name at least one shift")
    turned = [shift_circles(adder, circles, shift).table() for shift in shifts]
    frequency, sums = circles[0].frequency, adder.pairs().sum(1)
    moved = [sums + shift for shift in shifts]
    return Following(
        frequency=frequency,
        turned=tuple(circle.frequency for circle in circles),
        before=_agreement(adder.table(), sums, frequency),
        follows=_mean(_agreement(table, target, frequency) for table, target in zip(turned, moved, strict=True)),
        stays=_mean(_agreement(table, sums, frequency) for table in turned),
        answers=_mean(
            (table.argmax(-1).flatten() == target % adder.p).double().mean().item()
            for table, target in zip(turned, moved, strict=True)
        ),
    )


def rotation_table(model: Adder | ModularModel, *, shifts: Sequence[int] | None = None) -> list[Following]:
    """Each circle turned alone, each with the circle of doubled frequency where there is one, and all of them.

    Raises:
        InvalidArgumentError: there is no circle, or p is even.
    """
    adder = as_adder(model)
    circles = find_circles(adder)
    rows = []
    for circle in circles:
        rows.append(following(adder, [circle], shifts=shifts))
        company = [other for other in circles if other.half_frequency == circle.frequency]
        if company:
            rows.append(following(adder, [circle, *company], shifts=shifts))
    rows.append(following(adder, circles, shifts=shifts))
    return rows


def _agreement(table: Float[Tensor, "p p p"], target: Int[Tensor, "pairs"], frequency: int) -> float:
    """Mean over pairs of cos(phase of the logits at this frequency - phase of the target)."""
    p = table.shape[0]
    turn = 2 * torch.pi * frequency / p
    angle = torch.arange(p, device=table.device, dtype=torch.float64) * turn
    logits = table.flatten(0, 1).double()
    phase = torch.atan2(logits @ angle.sin(), logits @ angle.cos())
    return (phase - turn * target).cos().mean().item()


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
