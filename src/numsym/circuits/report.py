"""All measures of one modular adder together, and the verdict that they support."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circularity import circularity
from numsym.circuits.fve import CircleFit, fit_circles, fve_figure
from numsym.circuits.irrelevance import distance_irrelevance
from numsym.circuits.symmetricity import gradient_symmetricity
from numsym.figures import COLOURS, drawing
from numsym.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Verdict = Literal["Pizza", "Clock", "in between", "not circular", "does not add"]

MIN_ACCURACY = 0.99
MIN_CIRCULARITY = 0.95
PIZZA_SYMMETRICITY, CLOCK_SYMMETRICITY = 0.9, 0.6
PIZZA_IRRELEVANCE, CLOCK_IRRELEVANCE = 0.4, 0.6
"""Where a verdict falls. These bounds are numsym's: [P] draws the phase diagram and names no thresholds."""


@dataclass(frozen=True, repr=False)
class CircuitMetrics(Result):
    """The three metrics of [P] (section 4), and how often the network is right.

    Attributes:
        accuracy: over all p^2 pairs, in 0..1.
        gradient_symmetricity: in -1..1.
        distance_irrelevance: in 0..1.
        circularity: in 0..1.
    """

    accuracy: float
    gradient_symmetricity: float
    distance_irrelevance: float
    circularity: float

    name: ClassVar[str] = "circuit_metrics"

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "Clock or Pizza"

    def rows(self) -> list[dict[str, Any]]:
        """One row: the verdict and the numbers behind it."""
        return [self.to_dict()]

    def to_dict(self) -> dict[str, Any]:
        """The verdict too."""
        return {"verdict": self.verdict, **super().to_dict()}

    def figure(self) -> "Figure":
        """The network as a point of the plane of [P] figure 6, with where the verdicts Pizza and Clock fall."""
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
            regions = (
                ("Pizza", 0.0, PIZZA_IRRELEVANCE, PIZZA_SYMMETRICITY, 1.0),
                ("Clock", CLOCK_IRRELEVANCE, 1.0, -1.0, CLOCK_SYMMETRICITY),
            )
            for colour, (name, left, right, low, high) in zip(COLOURS, regions, strict=False):
                axes.fill_between([left, right], low, high, color=colour, alpha=0.15, linewidth=0)
                axes.text(right - 0.02, max(low, 0) + 0.01, name, color=colour, ha="right", va="bottom")
            axes.plot([self.distance_irrelevance], [self.gradient_symmetricity], "o", color="black")
            axes.set(xlabel="distance irrelevance", ylabel="gradient symmetricity", title=self.verdict)
            axes.set(xlim=(0, 1.02), ylim=(min(-0.05, self.gradient_symmetricity - 0.05), 1.05))
        return figure

    @property
    def verdict(self) -> Verdict:
        """What the metrics speak for, by the bounds of this module.

        A circuit that treats its operands alike (high symmetricity) and whose certainty depends on a - b (low
        irrelevance) is a Pizza; the opposite on both is a Clock.
        """
        if self.accuracy < MIN_ACCURACY:
            return "does not add"
        if self.circularity < MIN_CIRCULARITY:
            return "not circular"
        if self.gradient_symmetricity >= PIZZA_SYMMETRICITY and self.distance_irrelevance <= PIZZA_IRRELEVANCE:
            return "Pizza"
        if self.gradient_symmetricity <= CLOCK_SYMMETRICITY and self.distance_irrelevance >= CLOCK_IRRELEVANCE:
            return "Clock"
        return "in between"


@dataclass(frozen=True, repr=False)
class CircuitReport(Result):
    """The metrics, and how well each formula explains each circle."""

    metrics: CircuitMetrics
    circles: list[CircleFit]

    name: ClassVar[str] = "fve"

    @property
    def line(self) -> str:
        """One sentence: the verdict and the numbers behind it."""
        m = self.metrics
        largest = self.circles[0] if self.circles else None
        fits = (
            ""
            if largest is None
            else ", largest circle: "
            + " and ".join(f"{name} {100 * largest.fve[name]:.1f} %" for name in ("pizza", "clock"))
        )
        return (
            f"{m.verdict}: accuracy {100 * m.accuracy:.2f} %,"
            f" gradient symmetricity {100 * m.gradient_symmetricity:.2f} %,"
            f" distance irrelevance {m.distance_irrelevance:.2f}, circularity {m.circularity:.3f}{fits}"
        )

    @property
    def title(self) -> str:
        """What the rows are."""
        return "share of the logits' variance that each formula explains"

    def rows(self) -> list[dict[str, Any]]:
        """A row a circle: frequency, components, variance, the FVE of each formula alone and by removal."""
        return [row for fit in self.circles for row in fit.rows()]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The metrics, and what explains each circle: alone, and by its removal."""
        shown: dict[str, list[dict[str, Any]]] = {self.metrics.title: self.metrics.rows()}
        for what, of in (("of the circle alone", "fve"), ("of the difference that the circle makes", "removal")):
            rows = [{**fit.circle.row(), **getattr(fit, of)} for fit in self.circles]
            if rows:
                shown[f"{self.title}, {what}"] = rows
        return shown

    def to_dict(self) -> dict[str, Any]:
        """The sentence too."""
        return {"line": self.line, **super().to_dict()}

    def figure(self) -> "Figure | None":
        """Bars of the FVE; `None` without a circle."""
        return fve_figure(self.circles) if self.circles else None


def circuit_metrics(model: Adder | ModularModel, *, triples: int | str = 100) -> CircuitMetrics:
    """Accuracy and the three metrics of [P].

    Raises:
        InvalidArgumentError: p is not an odd prime.
    """
    adder = as_adder(model)
    return CircuitMetrics(
        # Circularity first: it refuses a p that is not an odd prime before any logit is computed.
        circularity=circularity(adder),
        accuracy=adder.accuracy(),
        gradient_symmetricity=gradient_symmetricity(adder, triples=triples),
        distance_irrelevance=distance_irrelevance(adder),
    )


def circuit_report(model: Adder | ModularModel, *, triples: int | str = 100) -> CircuitReport:
    """The metrics and the fits of all circles: which algorithm does this modular adder run?

    Raises:
        InvalidArgumentError: p is not an odd prime.
    """
    adder = as_adder(model)
    return CircuitReport(metrics=circuit_metrics(adder, triples=triples), circles=fit_circles(adder))
