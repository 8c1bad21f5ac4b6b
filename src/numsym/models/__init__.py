"""Thin adapters that make models known to pyvene. How they are trained or intervened on does not go here."""

from numsym._pyvene import Component, components_of, register
from numsym.models.counters import counting_gru
from numsym.models.modular import ModularTransformer, ModularTransformerConfig
from numsym.models.modular_linear import LinearModularConfig, LinearModularModel
from numsym.models.pizza import load_pizza
from numsym.models.recurrent import RecurrentConfig, RecurrentLM, RecurrentOutput

__all__ = [
    "Component",
    "LinearModularConfig",
    "LinearModularModel",
    "ModularTransformer",
    "ModularTransformerConfig",
    "RecurrentConfig",
    "RecurrentLM",
    "RecurrentOutput",
    "components_of",
    "counting_gru",
    "load_pizza",
    "register",
]
