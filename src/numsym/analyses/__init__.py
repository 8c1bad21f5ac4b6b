"""What a set of alignments shows together: over training, by width, by count, neuron by neuron, between networks.

Each analysis is a function and a result; its figure is in `numsym.plots`, its command in `numsym.experiments`.
"""

from numsym.alignment.engines.cross import Side
from numsym.analyses.cross_model import CrossResult, align_across
from numsym.analyses.graded import Graded, graded
from numsym.analyses.neurons import Neurons, neurons
from numsym.analyses.trajectories import Trajectories, trajectories

__all__ = [
    "CrossResult",
    "Graded",
    "Neurons",
    "Side",
    "Trajectories",
    "align_across",
    "graded",
    "neurons",
    "trajectories",
]
