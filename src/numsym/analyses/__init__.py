"""What a set of alignments shows together: over training, by width, by count, neuron by neuron, between networks.

Each analysis is a function and a result; its figure is in `numsym.plots`, its command in `numsym.experiments`.
"""

from numsym.alignment.engines.cross import Side
from numsym.analyses.cross_model import CrossResult, align_across
from numsym.analyses.curves import Curve, Point, iia_by_k, iia_of_models
from numsym.analyses.graded import Graded, graded
from numsym.analyses.neurons import Neurons, neurons
from numsym.analyses.trajectories import Trajectories, trajectories

__all__ = [
    "CrossResult",
    "Curve",
    "Graded",
    "Neurons",
    "Point",
    "Side",
    "Trajectories",
    "align_across",
    "graded",
    "iia_by_k",
    "iia_of_models",
    "neurons",
    "trajectories",
]
