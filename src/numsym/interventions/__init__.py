"""Intervention types for pyvene, and the recipes that name them. The search for their parameters does not go here."""

from numsym.interventions.base import AlignmentIntervention
from numsym.interventions.config import load_config
from numsym.interventions.linear import LinearAlignmentIntervention

__all__ = ["AlignmentIntervention", "LinearAlignmentIntervention", "load_config"]
