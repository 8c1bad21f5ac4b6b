"""Interchange pairs, the search for an alignment, IIA and its controls. Intervention types do not go here."""

from numsym.alignment.align import align, align_many
from numsym.alignment.baselines import BASELINES
from numsym.alignment.controls import CONTROLS
from numsym.alignment.divergence import Divergence
from numsym.alignment.drawn import PairCounts, measured_pairs
from numsym.alignment.engines.choice import engine_for, right_of
from numsym.alignment.examples import Example
from numsym.alignment.explain import Explanation, explain
from numsym.alignment.functions import ALIGNMENTS
from numsym.alignment.hypotheses import Hypotheses, Hypothesis, named
from numsym.alignment.markov import Dependence, Following, dependence, following
from numsym.alignment.measurement import Measurement
from numsym.alignment.mib import MibAlignment, from_mib, to_mib
from numsym.alignment.pairs import Pairs, interchange_pairs, told_apart, unexchanged
from numsym.alignment.result import AlignmentResult
from numsym.alignment.settings import SearchSettings
from numsym.checked import border
from numsym.models.site import Site, sites_named, state_sites
from numsym.shares import Difference, Share

__all__ = [
    "ALIGNMENTS",
    "BASELINES",
    "CONTROLS",
    "AlignmentResult",
    "Dependence",
    "Difference",
    "Divergence",
    "Example",
    "Explanation",
    "Following",
    "Hypotheses",
    "Hypothesis",
    "Measurement",
    "MibAlignment",
    "PairCounts",
    "Pairs",
    "SearchSettings",
    "Share",
    "Site",
    "align",
    "align_many",
    "dependence",
    "engine_for",
    "explain",
    "following",
    "from_mib",
    "interchange_pairs",
    "measured_pairs",
    "named",
    "right_of",
    "sites_named",
    "state_sites",
    "to_mib",
    "told_apart",
    "unexchanged",
]

border(globals())
