"""Thin adapters that make models known to pyvene. How they are trained or intervened on does not go here."""

from numsym._pyvene import Component, components_of, register
from numsym.models.counters import counting_gru
from numsym.models.recurrent import RecurrentConfig, RecurrentLM, RecurrentOutput

__all__ = [
    "Component",
    "RecurrentConfig",
    "RecurrentLM",
    "RecurrentOutput",
    "components_of",
    "counting_gru",
    "register",
]
