"""Which formula the logits of one circle follow: Clock, Pizza, Pizza' or accompanied Pizza ([P] sections 2 to 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circles import Circle, find_circles, isolate, remove
from numsym.errors import InvalidArgumentError
from numsym.figures import COLOURS, drawing
from numsym.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def clock(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """cos(a + b - c) for angles a, b, c in radians ([P] section 2.1)."""
    return torch.cos(a + b - c)


def pizza(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """|cos(c/2) s0 + sin(c/2) s1| - |cos(c/2) s1 - sin(c/2) s0|, s the sum of the two points ([P] section 2.2).

    It equals |cos((a - b)/2)| 2 (|cos((a + b - c)/2)| - |sin((a + b - c)/2)|): it fades where a and b are opposite.
    """
    s0, s1 = a.cos() + b.cos(), a.sin() + b.sin()
    along, across = (c / 2).cos(), (c / 2).sin()
    return (along * s0 + across * s1).abs() - (along * s1 - across * s0).abs()


def pizza_prime(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Pizza with four fixed directions, turned to c by a rotation ([P] appendix)."""
    s0, s1 = a.cos() + b.cos(), a.sin() + b.sin()
    return (s0.abs() - s1.abs()) * c.cos() - 2**-0.5 * ((s0 - s1).abs() - (s0 + s1).abs()) * c.sin()


def accompanied_pizza(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """-(cos c (cos 2a + cos 2b) + sin c (sin 2a + sin 2b)): what a circle of doubled frequency adds ([P] appendix)."""
    return -(c.cos() * ((2 * a).cos() + (2 * b).cos()) + c.sin() * ((2 * a).sin() + (2 * b).sin()))


FORMULAS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "clock": clock,
    "pizza": pizza,
    "pizza_prime": pizza_prime,
    "accompanied_pizza": accompanied_pizza,
}
"""The formulas by name, functions of the angles of a, b and c."""

SHOWN = {
    "clock": ("Clock", COLOURS[0]),
    "pizza": ("Pizza", COLOURS[1]),
    "pizza_prime": ("Pizza'", COLOURS[5]),
    "accompanied_pizza": ("accompanied Pizza", COLOURS[2]),
}
"""Label and colour of each formula, the same in every figure."""


@dataclass(frozen=True, repr=False)
class CircleFit(Result):
    """How well each formula explains the logits of one circle.

    Attributes:
        circle: which one.
        fve: formula name -> fraction of variance explained of the logits of the circle alone ([P]): 1 is perfect, below
            0 is worse than nothing.
        removal: the same for the difference that the circle makes: the logits of the whole network minus those of the
            network without it. A circle that needs the others to work shows here what it does among them.
    """

    circle: Circle
    fve: dict[str, float]
    removal: dict[str, float]

    name: ClassVar[str] = "fve"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "share of the logits' variance that a formula explains: of the circle alone, and by its removal"

    def rows(self) -> list[dict[str, Any]]:
        """One row: the circle, the FVE of each formula alone and by removal, and the best of each."""
        removal = {f"removal_{name}": value for name, value in self.removal.items()}
        return [{**self.circle.row(), **self.fve, "best": self.best, **removal, "best_removal": self.best_removal}]

    def figure(self) -> "Figure":
        """Bars, as `fve_figure` draws them for several circles."""
        return fve_figure([self])

    @property
    def best(self) -> str:
        """The formula that explains most of the circle alone."""
        return max(self.fve, key=self.fve.__getitem__)

    @property
    def best_removal(self) -> str:
        """The formula that explains most of the difference that the circle makes."""
        return max(self.removal, key=self.removal.__getitem__)


def fve_figure(fits: Sequence[CircleFit]) -> "Figure":
    """Bars of the FVE of every circle by every formula, alone (above) and by removal (below); those below 0 are cut."""
    with drawing(**{"axes.grid": False}) as plt:
        size = (max(5.0, 1.3 * len(fits) + 1.5), 5.4)
        figure, (above, below) = plt.subplots(2, sharex=True, figsize=size, layout="constrained")
        _bars(above, [fit.fve for fit in fits])
        _bars(below, [fit.removal for fit in fits])
        above.set_title("logits of the circle alone", loc="left")
        below.set_title("difference that the circle makes", loc="left")
        below.set_xticks(range(len(fits)), [f"frequency {fit.circle.frequency}" for fit in fits])
        figure.supylabel("variance explained (%)")
        figure.legend(*above.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _bars(axes: "Axes", rows: Sequence[dict[str, float]]) -> None:
    width = 0.8 / len(SHOWN)
    for i, (name, (label, colour)) in enumerate(SHOWN.items()):
        places = [n + (i - 1.5) * width for n in range(len(rows))]
        values = [100 * row[name] for row in rows]
        axes.bar(places, [max(v, 0) for v in values], width, label=label, color=colour)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.0f}" if value > 0 else "<0"
            axes.text(place, max(value, 0) + 1, text, ha="center", va="bottom", fontsize=6, color=colour)
    axes.set_ylim(0, 108)


def fit_circles(
    model: Adder | ModularModel, *, circles: list[Circle] | None = None, pairing: str = "frequency"
) -> list[CircleFit]:
    """The logit FVE of every circle by every formula, alone ([P] sections 3 and 4) and among the others.

    Args:
        model: a modular adder.
        circles: which circles; by default `find_circles(model, pairing=pairing)`.
        pairing: how components are paired where `circles` is not given.
    """
    adder = as_adder(model)
    circles = find_circles(adder, pairing=pairing) if circles is None else circles
    whole = adder.table()
    return [
        CircleFit(
            circle,
            fve=logit_fve(isolate(adder, circle).table(), circle),
            removal=logit_fve(whole - remove(adder, circle).table(), circle),
        )
        for circle in circles
    ]


def logit_fve(logits: Float[Tensor, "p p p"], circle: Circle) -> dict[str, float]:
    """1 - Var(z - f) / Var(z) for logits z and each formula f, both standardised over all (a, b, c).

    The angles are w a, w b, w c with w = 2 pi k / p and k the frequency of the circle. For accompanied Pizza k is the
    frequency of which the circle has the double: its embedding turns at 2 k, its logits at k.

    Args:
        logits: entry [a, b, c] is the logit of answer c.
        circle: whose frequency the formulas take.

    Raises:
        InvalidArgumentError: the logits are not (p, p, p) for the p of the circle.
    """
    if tuple(logits.shape) != (circle.p,) * 3:
        wanted = (circle.p,) * 3
        raise InvalidArgumentError(f"logits have shape {tuple(logits.shape)}, but p={circle.p} asks for {wanted}")
    target = standardise(logits.double())
    values = {}
    for name, formula in FORMULAS.items():
        frequency = circle.half_frequency if formula is accompanied_pizza else circle.frequency
        values[name] = explained(target, formula_table(formula, circle.p, frequency, target.device))
    return values


def formula_table(
    formula: Callable[[Tensor, Tensor, Tensor], Tensor], p: int, frequency: int, device: torch.device | None = None
) -> Float[Tensor, "p p p"]:
    """A formula over all (a, b, c), in float64."""
    angle = torch.arange(p, device=device, dtype=torch.float64) * (2 * torch.pi * frequency / p)
    return formula(angle[:, None, None], angle[None, :, None], angle[None, None, :]).expand(p, p, p)


def explained(target: Float[Tensor, "p p p"], formula: Float[Tensor, "p p p"]) -> float:
    """1 - Var(target - formula), both standardised: 2 r - 1 for the correlation r. Without a fit, so a sign counts."""
    return 1 - (target - standardise(formula)).square().mean().item()


def standardise(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Mean 0, standard deviation 1; all zero where nothing varies."""
    centred = values - values.mean()
    return centred / centred.square().mean().sqrt().clamp_min(torch.finfo(values.dtype).tiny)
