"""Thin adapters that make models known to pyvene. How they are trained or intervened on does not go here."""

from numsym._pyvene import SPLIT_HEADS, Component, components_of, register
from numsym.checked import border
from numsym.models.activations import activations
from numsym.models.build import build
from numsym.models.counters import counting_gru, counting_gru_by_phase, counting_transformer
from numsym.models.load import load
from numsym.models.modular import ModularTransformer, ModularTransformerConfig
from numsym.models.modular_linear import LinearModularConfig, LinearModularModel
from numsym.models.pizza import load_pizza
from numsym.models.recurrent import RecurrentConfig, RecurrentLM, RecurrentOutput
from numsym.models.site import Site, sites_named, state_sites
from numsym.models.transformer import TransformerConfig, TransformerLM, TransformerOutput
from numsym.models.weights import hash_of, read_model

__all__ = [
    "SPLIT_HEADS",
    "Component",
    "LinearModularConfig",
    "LinearModularModel",
    "ModularTransformer",
    "ModularTransformerConfig",
    "RecurrentConfig",
    "RecurrentLM",
    "RecurrentOutput",
    "Site",
    "TransformerConfig",
    "TransformerLM",
    "TransformerOutput",
    "activations",
    "build",
    "components_of",
    "counting_gru",
    "counting_gru_by_phase",
    "counting_transformer",
    "hash_of",
    "load",
    "load_pizza",
    "read_model",
    "register",
    "sites_named",
    "state_sites",
]

border(globals())
