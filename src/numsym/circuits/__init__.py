"""Which algorithm a network runs: Clock or Pizza in a modular adder ([P]), counting by attention ([N]).

Metrics on a model. Training goes elsewhere.
"""

from numsym.checked import border
from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.attention import AttentionToFirst, attention_to_first
from numsym.circuits.circles import Circle, Circles, embedded_circles, find_circles, isolate, remove
from numsym.circuits.circularity import circularity
from numsym.circuits.fve import CircleFit, fit_circles, logit_fve
from numsym.circuits.irrelevance import CorrectLogits, correct_logits, distance_irrelevance
from numsym.circuits.report import CircuitMetrics, CircuitReport, circuit_metrics, circuit_report
from numsym.circuits.rotation import Rotations, Turning, rotation_table, shift_circles, turn
from numsym.circuits.strength_value import StrengthValue, strength_value
from numsym.circuits.symmetricity import gradient_symmetricity

__all__ = [
    "Adder",
    "AttentionToFirst",
    "Circle",
    "CircleFit",
    "Circles",
    "CircuitMetrics",
    "CircuitReport",
    "CorrectLogits",
    "ModularModel",
    "Rotations",
    "StrengthValue",
    "Turning",
    "as_adder",
    "attention_to_first",
    "circuit_metrics",
    "circuit_report",
    "circularity",
    "correct_logits",
    "distance_irrelevance",
    "embedded_circles",
    "find_circles",
    "fit_circles",
    "gradient_symmetricity",
    "isolate",
    "logit_fve",
    "remove",
    "rotation_table",
    "shift_circles",
    "strength_value",
    "turn",
]

border(globals())
