"""All measures of one modular adder together, and the verdict that they support."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circularity import circularity
from numsym.circuits.fve import CircleFit, fit_circles
from numsym.circuits.irrelevance import distance_irrelevance
from numsym.circuits.symmetricity import gradient_symmetricity

Verdict = Literal["Pizza", "Clock", "in between", "not circular", "does not add"]

MIN_ACCURACY = 0.99
MIN_CIRCULARITY = 0.95
PIZZA_SYMMETRICITY, CLOCK_SYMMETRICITY = 0.9, 0.6
PIZZA_IRRELEVANCE, CLOCK_IRRELEVANCE = 0.4, 0.6
"""Where a verdict falls. These bounds are numsym's: [P] draws the phase diagram and names no thresholds."""


@dataclass(frozen=True)
class CircuitMetrics:
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


@dataclass(frozen=True)
class CircuitReport:
    """The metrics, and how well each formula explains each circle."""

    metrics: CircuitMetrics
    circles: list[CircleFit]

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

    def rows(self) -> list[dict[str, Any]]:
        """One row a circle: frequency, components, variance, the FVE of each formula alone and by removal."""
        return [
            {
                "frequency": fit.circle.frequency,
                "components": list(fit.circle.components),
                "variance": fit.circle.variance,
                **fit.fve,
                "best": fit.best,
                "removal": fit.removal,
                "best_removal": fit.best_removal,
            }
            for fit in self.circles
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists, ready for JSON."""
        return {"verdict": self.metrics.verdict, **asdict(self.metrics), "circles": self.rows()}


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
