"""Which algorithm a network runs: Clock or Pizza in a modular adder ([P]), counting by attention ([N]).

Metrics on a model. Training goes elsewhere.
"""

from numsym.circuits.adder import Adder, ModularModel, as_adder
from numsym.circuits.circles import Circle, find_circles, isolate, remove
from numsym.circuits.circularity import circularity
from numsym.circuits.fve import CircleFit, fit_circles, logit_fve
from numsym.circuits.irrelevance import correct_logits, distance_irrelevance
from numsym.circuits.report import CircuitMetrics, CircuitReport, circuit_metrics, circuit_report
from numsym.circuits.rotation import Following, following, rotation_table, shift_circles
from numsym.circuits.strength_value import StrengthValue, strength_value
from numsym.circuits.symmetricity import gradient_symmetricity

__all__ = [
    "Adder",
    "Circle",
    "CircleFit",
    "CircuitMetrics",
    "CircuitReport",
    "Following",
    "ModularModel",
    "StrengthValue",
    "as_adder",
    "circuit_metrics",
    "circuit_report",
    "circularity",
    "correct_logits",
    "distance_irrelevance",
    "find_circles",
    "fit_circles",
    "following",
    "gradient_symmetricity",
    "isolate",
    "logit_fve",
    "remove",
    "rotation_table",
    "shift_circles",
    "strength_value",
]
