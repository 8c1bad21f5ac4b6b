"""numsym: does this network hold a number as a variable, where, and how sure are we?

Importing it registers its models with pyvene; everything else happens when it is called.
"""

from importlib.metadata import version

from numsym import interventions, models, programs, tasks

__all__ = ["interventions", "models", "programs", "tasks"]
__version__ = version("numsym")
