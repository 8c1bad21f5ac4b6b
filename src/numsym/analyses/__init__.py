"""What a set of alignments shows together, between networks."""

from numsym.alignment.engines.cross import Side
from numsym.analyses.cross_model import CrossResult, align_across

__all__ = ["CrossResult", "Side", "align_across"]
