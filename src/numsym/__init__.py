"""numsym: does this network hold a number as a variable, where, and how sure are we?

Importing it registers its models with pyvene; everything else happens when it is called.
"""

from importlib.metadata import version

from numsym import alignment, circuits, interventions, models, probes, programs, studies, tasks
from numsym.checked import border
from numsym.lab.run import Run
from numsym.run import NO_RUN
from numsym.training import evaluate, train

globals().update({_name: studies.STUDIES[_name] for _name in studies.STUDIES})
from numsym.alignment import align, align_many  # noqa: E402  (the study of this name is `numsym.studies.align`)

__all__ = [
    "NO_RUN",
    "Run",
    "align",
    "align_many",
    "alignment",
    "circuits",
    "evaluate",
    "interventions",
    "models",
    "probes",
    "programs",
    "studies",
    "tasks",
    "train",
    *(_name for _name in studies.STUDIES if _name != "align"),
]
__version__ = version("numsym")
border(globals())
