"""numsym: does this network hold a number as a variable, where, and how sure are we?

Importing it registers its models with pyvene; everything else happens when it is called.
"""

from importlib.metadata import version

from numsym import alignment, analyses, circuits, interventions, models, probes, programs, tasks
from numsym.alignment import align, align_many, compare
from numsym.training import evaluate, train

__all__ = [
    "align",
    "align_many",
    "alignment",
    "analyses",
    "circuits",
    "compare",
    "evaluate",
    "interventions",
    "models",
    "probes",
    "programs",
    "tasks",
    "train",
]
__version__ = version("numsym")
