"""IIA as it is measured: on one set of pairs, whole and graded."""

from dataclasses import dataclass, field

from jaxtyping import Bool
from torch import Tensor

from numsym.alignment.pairs import Pairs
from numsym.shares import Share, shares_by


@dataclass(frozen=True)
class Measurement:
    """IIA on one set of pairs (all predictable tokens of the trial, teacher-forced), whole and graded.

    Attributes:
        iia: the share of pairs whose predictable tokens after the exchange all match the counterfactual.
        by_base_count: by the number of the base trial.
        by_source_count: by the number of the source trial.
        by_difference: by |source value - base value| of the exchanged variable.
        changed: IIA on the pairs whose exchange gives a variable another value: in the others nothing new has to
            follow. `None` where there are no such pairs, and in results saved before it was measured.
        by_position: by the position of the exchange in the base, in tokens from its start; empty in results saved
            before it was measured.
    """

    iia: Share
    by_base_count: dict[int, Share] = field(repr=False)
    by_source_count: dict[int, Share] = field(repr=False)
    by_difference: dict[int, Share] = field(repr=False)
    changed: Share | None = None
    by_position: dict[int, Share] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, right: Bool[Tensor, "batch"], pairs: Pairs) -> "Measurement":
        """From which pairs are right."""
        difference = (pairs.source_value - pairs.base_value).abs()
        return cls(
            Share.of(right),
            shares_by(right, pairs.base_counts.cpu()),
            shares_by(right, pairs.source_counts.cpu()),
            shares_by(right, difference.cpu()),
            Share.of(right[pairs.changed.cpu()]) if bool(pairs.changed.any()) else None,
            shares_by(right, (pairs.base_at - pairs.base_mask.long().argmax(1)).cpu()),
        )
