"""Studies: what can be asked of a network, each a function with its settings, its measurement, result and figure.

A study is a file here, found by being here; what a notebook calls and what the command runs is the same function.
"""

from importlib import import_module
from pkgutil import iter_modules

from numsym.studies.catalog import STUDIES, study

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")

globals().update({_name: STUDIES[_name] for _name in STUDIES})

__all__ = ["STUDIES", "study", *(_name for _name in STUDIES)]
