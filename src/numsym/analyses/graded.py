"""Graded IIA: is a network's variable equally exact everywhere? [N] finds less for larger numbers and differences."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from numsym.alignment import AlignmentResult, Pairs, Share, right_of
from numsym.alignment.result import Measurement, plain
from numsym.alignment.statistics import shares_by, spearman
from numsym.errors import InvalidArgumentError


@dataclass(frozen=True)
class Graded:
    """IIA of one alignment on one set of pairs, by what the pairs are about.

    Attributes:
        measurement: IIA over all pairs, by base count, by source count, and by |source value - base value|.
        by_signed_difference: by source value - base value of the exchanged variable.
        cells: (base value, source value) -> share.
        trends: "base_count", "source_count", "difference" (absolute) -> Spearman's rank correlation of it with being
            right, over pairs; `None` where one of the two does not vary.
        n: the number of pairs.
    """

    measurement: Measurement
    by_signed_difference: dict[int, Share]
    cells: dict[tuple[int, int], Share]
    trends: dict[str, float | None]
    n: int

    @classmethod
    def of(cls, right: Bool[Tensor, "batch"], pairs: Pairs) -> "Graded":
        """From which pairs are right."""
        base, source = pairs.base_value.cpu(), pairs.source_value.cpu()
        cells: dict[tuple[int, int], Share] = {}
        for first in base.unique().tolist():
            here = base == first
            cells |= {(first, second): share for second, share in shares_by(right[here], source[here]).items()}
        graders = {
            "base_count": pairs.base_counts.cpu(),
            "source_count": pairs.source_counts.cpu(),
            "difference": (source - base).abs(),
        }
        trends = {name: spearman(values, right.long()) for name, values in graders.items()}
        return cls(Measurement.of(right, pairs), shares_by(right, source - base), cells, trends, len(right))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a cell's key is "base,source"."""
        cells = {f"{base},{source}": share for (base, source), share in self.cells.items()}
        return plain({**vars(self), "cells": cells})


def graded(result: AlignmentResult, pairs: Pairs, engine: str = "auto") -> Graded:
    """Measure a found alignment on further pairs, by count, by difference, and by both values.

    Args:
        result: an alignment of one variable.
        pairs: as many as the cells need, of the result's variable, such as `interchange_pairs` draws; those that the
            search trained on should not be among them (`Pairs.without`).
        engine: as for `align_many`.

    Raises:
        InvalidArgumentError: the pairs exchange another variable than the result.
    """
    if pairs.variables != result.variables:
        raise InvalidArgumentError(
            f"pairs of {pairs.variables!r} is not allowed: the alignment is of {result.variables!r}"
        )
    return Graded.of(right_of(result, pairs, engine), pairs)
