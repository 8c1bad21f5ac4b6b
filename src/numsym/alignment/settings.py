"""How to search: the settings of the alignment search."""

import math
from dataclasses import dataclass, replace

RANDOM, FITTED = "random", "fitted"
STARTS, SCHEDULES = (FITTED, RANDOM), ("cosine", "constant")
"""What `SearchSettings.starts` and `schedule` may be."""

RATE, WIDE = 3e-2, 50
"""The learning rate where none is given, and the width from which on it is in inverse proportion to the width."""


@dataclass(frozen=True)
class SearchSettings:
    """How to search. Rate and schedule are such as `benchmarks.search` compares; `search=grant` is [N]'s.

    Attributes:
        max_steps: the most optimiser steps.
        batch_size: pairs a step.
        learning_rate: of Adam; if not given, 3e-2 at sites up to 50 wide, and 3e-2 times 50 / width beyond (`at`).
        check_every: steps between checks on validation pairs.
        patience: checks without a better IIA after which an alignment stops.
        stop_at: validation IIA at which an alignment stops.
        schedule: "constant", or "cosine": the learning rate falls to zero over `max_steps`.
        warm_up: steps over which the rate first rises: Adam's first steps move every entry by the whole rate, however
            small its gradient, which takes a map away from a good start. A tenth of `max_steps` at most.
        beta2: how much of its mean of squared gradients Adam keeps at a step.
        average: what is checked on validation pairs, and kept, is the exponential running mean of the parameters, of
            which this share stays at a step (fewer than 100 steps remember less: `memory`); the parameters of that
            very step, as [N], if 0.
        boundary_weight: how much a learned mask (the share of coordinates exchanged) adds to the loss. Alignments
            with one run all `max_steps`, while their temperature falls, and end with what they have at the last step.
        cl_weight: how much the counterfactual latent loss adds (`numsym.alignment.latent`): it keeps exchanged states
            near natural ones. Nothing, if 0.
        cl_target: "mean" or "matched": what natural state is meant.
        starts: "fitted" compares the starts that the states of the training pairs give (`numsym.alignment.starts`) and
            a random one on validation pairs, before any step; "random" has the random one alone, as [N].
        tries: so many of the best starts, of different kinds, are searched from side by side; the best that was seen
            is kept.
        wrong_share: the most of each batch that is taken from pairs that were wrong when they were last seen, as far as
            there are such: near its end a search has few, and most of a batch would teach nothing. None, as [N], if 0.
    """

    max_steps: int = 500
    batch_size: int = 128
    learning_rate: float | int | None = None
    check_every: int = 25
    patience: int = 20
    stop_at: float | int = 0.998
    schedule: str = "cosine"
    warm_up: int = 10
    beta2: float | int = 0.95
    average: float | int = 0.9
    boundary_weight: float | int = 0.01
    cl_weight: float | int = 0.0
    cl_target: str = "mean"
    starts: str = "fitted"
    tries: int = 2
    wrong_share: float | int = 0.5

    def at(self, width: int) -> "SearchSettings":
        """The same, with the learning rate that they have at a site of a width.

        A step of Adam moves every entry of a map by about the rate: what it does to a state grows with the width.
        """
        if self.learning_rate is not None:
            return self
        return replace(self, learning_rate=RATE * min(1.0, WIDE / width))

    def rate(self, step: int) -> float:
        """The learning rate of a step, which are counted from 1; that of a narrow site, where none is given."""
        first = RATE if self.learning_rate is None else float(self.learning_rate)
        first *= min(1.0, step / (min(self.warm_up, self.max_steps // 10) + 1))
        if self.schedule == "constant":
            return first
        return first * (1 + math.cos(math.pi * (step - 1) / self.max_steps)) / 2

    @property
    def memory(self) -> float:
        """`average`, or less where the mean would be over more than a tenth of the steps."""
        return max(0.0, min(float(self.average), 1 - 10 / self.max_steps))
