"""Which algorithm does one modular adder run? Its metrics, circles and figures, and a verdict in one line ([P])."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym.circuits import (
    Adder,
    AttentionToFirst,
    Circles,
    CircuitReport,
    CorrectLogits,
    ModularModel,
    Rotations,
    as_adder,
    attention_to_first,
    circuit_report,
    correct_logits,
    embedded_circles,
    rotation_table,
)
from numsym.circuits.adder import check_prime
from numsym.circuits.symmetricity import check_triples
from numsym.models import ModularTransformer
from numsym.models.weights import hash_of
from numsym.results import Result, beside
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = """\
Explained: 1 - Var(z - f) for logits z and formula f, both standardised, without
a fitted scale: 1 is perfect, below 0 is worse than nothing. A verdict's bounds
are numsym's own (numsym.circuits.report)."""


@dataclass(frozen=True, repr=False)
class ClockPizza(Result):
    """Everything that is known about one modular adder.

    Attributes:
        report: the metrics, and how well each formula explains each circle.
        turned: what turning each circle does to the answer; `None` where there is no circle.
        logits: the logit of the correct answer of every pair.
        circles: the largest circles, with the tokens on them.
        attention: from the last position to a; `None` where there is no attention.
    """

    report: CircuitReport
    turned: Rotations | None
    logits: CorrectLogits | None = beside()
    circles: Circles | None = beside()
    attention: AttentionToFirst | None = beside()

    name: ClassVar[str] = "clock_pizza"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """The verdict, and the numbers behind it."""
        return self.report.line

    def rows(self) -> list[dict[str, Any]]:
        """A row a circle; without one, the metrics."""
        return self.report.rows() or self.report.metrics.rows()

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The metrics, what explains each circle, and what turning it does."""
        return self.report.tables() | ({} if self.turned is None else self.turned.tables())

    def figure(self) -> "Figure | None":
        """Bars of what explains each circle; `None` without a circle."""
        return self.report.figure()

    def figures(self) -> "dict[str, Figure]":
        """Those of its parts."""
        parts = (self.report.metrics, self.logits, self.report, self.circles, self.turned, self.attention)
        return {name: figure for part in parts if part is not None for name, figure in part.figures().items()}


@study
def clock_pizza(
    model: nn.Module | Adder | ModularModel, *, triples: int | str = 100, run: NoRun = NO_RUN
) -> ClockPizza:
    """Which algorithm does this modular adder run: Clock, Pizza or neither? Metrics, circles and a verdict.

    Args:
        model: a modular adder: one of numsym's, a published checkpoint, or anything with `operand_embeddings()` and
            `answer_logits(embed_a, embed_b)`.
        triples: over how many triples gradient symmetricity is averaged, or "all".
        run: where the parts are kept and the result is shown.

    Raises:
        InvalidArgumentError: the model is no modular adder, its p is not an odd prime, or `triples` is not allowed.
    """
    adder = as_adder(model)
    check_prime(adder.p, "the verdict")
    check_triples(adder.p, triples)
    weights = {"weights": hash_of(model)} if isinstance(model, nn.Module) else {}
    report = run.keep(
        "report",
        lambda: circuit_report(adder, triples=triples),
        CircuitReport.load,
        asked={"triples": triples, **weights},
    )
    turned = None
    if report.circles:
        turned = run.keep("turned", lambda: rotation_table(adder), Rotations.load, asked=weights)
    attention = attention_to_first(model) if isinstance(model, ModularTransformer) else None
    return run.show(ClockPizza(report, turned, correct_logits(adder), embedded_circles(adder), attention))
