"""Intervention types for pyvene, and the recipes that name them. The search for their parameters does not go here."""

from numsym.checked import border
from numsym.interventions.base import AlignmentIntervention
from numsym.interventions.boundless import BoundlessLinearAlignmentIntervention
from numsym.interventions.conditional import ConditionalAlignmentIntervention
from numsym.interventions.config import load_config
from numsym.interventions.dictionary import DictionaryIntervention
from numsym.interventions.fourier import FourierSubspaceIntervention
from numsym.interventions.linear import LinearAlignmentIntervention
from numsym.interventions.low_rank import LowRankLinearAlignmentIntervention
from numsym.interventions.mask import NeuronMaskIntervention

__all__ = [
    "AlignmentIntervention",
    "BoundlessLinearAlignmentIntervention",
    "ConditionalAlignmentIntervention",
    "DictionaryIntervention",
    "FourierSubspaceIntervention",
    "LinearAlignmentIntervention",
    "LowRankLinearAlignmentIntervention",
    "NeuronMaskIntervention",
    "load_config",
]

border(globals())
