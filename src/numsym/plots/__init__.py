"""Figures: a result in, a matplotlib figure out. Nothing is computed here, and importing numsym does not import it."""
