"""Routes through a model: pyvene's, which is the reference, and fast ones that are tested equal to it."""

from numsym.alignment.engines.choice import ENGINES, engine_for, engine_names, right_of

__all__ = ["ENGINES", "engine_for", "engine_names", "right_of"]
