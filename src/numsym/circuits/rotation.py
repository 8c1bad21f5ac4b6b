"""A causal question about one circle: turn it as if a were a + s; does the answer turn with it?

[P] explains the logits of an isolated circle; here the other circles stay, and one is turned in operand a alone.
A Clock turns the logits of that frequency by exactly the angle of s. In a Pizza the circle of doubled frequency, which
accompanies it, still says where a was, until it is turned as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circles import Circle, find_circles
from numsym.circuits.circularity import principal_components
from numsym.errors import InvalidArgumentError, check_name
from numsym.figures import COLOURS, drawing
from numsym.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Turning(Result):
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

    name: ClassVar[str] = "turning"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "some circles of a turned as if a were a + s: mean cosine of the logits' phase with that of a + s + b"

    def rows(self) -> list[dict[str, Any]]:
        """One row."""
        return [{**self.to_dict(), "turned": ", ".join(map(str, self.turned))}]

    def figure(self) -> "Figure":
        """As `Rotations` draws it."""
        return Rotations([self]).figure()


@dataclass(frozen=True, repr=False)
class Rotations(Result):
    """What turning the circles of one adder does: each alone, each with its company, and all of them."""

    turnings: list[Turning]

    name: ClassVar[str] = "turning"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return self.turnings[0].title if self.turnings else "no circle to turn"

    def rows(self) -> list[dict[str, Any]]:
        """A row what was turned."""
        return [row for turning in self.turnings for row in turning.rows()]

    def figure(self) -> "Figure":
        """A line what was turned: how far the logits follow, how far they stay, and how often the answer follows."""
        shown = {
            "follows": "phase follows a + s + b",
            "stays": "phase stays at a + b",
            "answers": "answer is a + s + b",
        }
        rows = list(enumerate(reversed(self.turnings)))
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(5.2, 1.3 + 0.3 * len(rows)), layout="constrained")
            for colour, marker, (key, label) in zip(COLOURS, "osD", shown.items(), strict=False):
                values = [getattr(turning, key) for _, turning in rows]
                axes.plot(values, range(len(rows)), marker, color=colour, markersize=5, label=label)
            axes.set_yticks(range(len(rows)), [", ".join(map(str, turning.turned)) for _, turning in rows])
            axes.set(ylabel="circles turned", xlabel="mean cosine; share of answers", ylim=(-0.6, len(rows) - 0.4))
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=7)
        return figure


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


def turn(model: Adder | ModularModel, circles: Sequence[Circle], *, shifts: Sequence[int] | None = None) -> Turning:
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
    return Turning(
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


def rotation_table(model: Adder | ModularModel, *, shifts: Sequence[int] | None = None) -> Rotations:
    """Each circle turned alone, each with the circle of doubled frequency where there is one, and all of them.

    Args:
        model: a modular adder.
        shifts: by how much; by default every shift 1..p-1.

    Raises:
        InvalidArgumentError: there is no circle, or p is even.
    """
    adder = as_adder(model)
    circles = find_circles(adder)
    rows = []
    for circle in circles:
        rows.append(turn(adder, [circle], shifts=shifts))
        company = [other for other in circles if other.half_frequency == circle.frequency]
        if company:
            rows.append(turn(adder, [circle, *company], shifts=shifts))
    rows.append(turn(adder, circles, shifts=shifts))
    return Rotations(rows)


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
