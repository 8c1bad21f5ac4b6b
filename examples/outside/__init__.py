"""Pieces of one's own, brought from outside: a task with its program, an alignment function, an engine, and a study.

The task is the running maximum: `B 3 1 4 = 4 E`. Does a network that says it keep it as a variable? Run:

    numsym plugins=[outside] tasks=running_maximum                  (in this folder's parent)
    numsym plugins=[outside] tasks=running_maximum experiment=floors

Importing this module registers everything; its recipe lies in `tasks/` beside it. An installed package does the same by
an entry point: `[project.entry-points."numsym.plugins"]`, `mine = "mine"`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from numsym.alignment import PairCounts, Share, measured_pairs, named
from numsym.alignment.engines.choice import ENGINES
from numsym.alignment.engines.pyvene import PyveneEngine, unintervened
from numsym.alignment.functions import ALIGNMENTS, AlignmentFunction
from numsym.interventions import LowRankLinearAlignmentIntervention
from numsym.programs import PROGRAMS, Program, State, Vocabulary
from numsym.results import Result
from numsym.run import NO_RUN, NoRun
from numsym.studies import study
from numsym.tasks import TASKS, Task
from numsym.tasks.counted import CountedTask

PAD, BOS, EOS, EQUALS, FIRST = range(5)
READING, ASKED, ANSWERED = range(3)


@PROGRAMS.register("running_maximum")
class RunningMaximum(Program):
    """Keep the largest digit so far, and say it when asked. The plan is `target`, how many digits there are."""

    variables = ("maximum",)

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary

    def start(self, plan: State) -> State:
        """Before `B`: nothing read."""
        zero = torch.zeros_like(plan["target"])
        return {**plan, "begun": zero, "ended": zero, "read": zero, "phase": zero, "maximum": zero}

    def update(self, state: State, token: torch.Tensor) -> State:
        """A digit may be the new maximum; `=` asks for it, and what follows is taken as the answer."""
        digit = (token >= FIRST) & (state["phase"] == READING)
        return {
            **state,
            "maximum": torch.where(digit, torch.maximum(state["maximum"], token - FIRST), state["maximum"]),
            "read": state["read"] + digit.long(),
            "phase": torch.where(token == EQUALS, ASKED, (state["phase"] > 0) * ANSWERED),
            "begun": torch.where(token == BOS, 1, state["begun"]),
            "ended": torch.where(token == EOS, 1, state["ended"]),
        }

    def emit(self, state: State, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """`B`, digits up to the target, `=`, the maximum, `E`; the last two are predictable."""
        phase = state["phase"]
        token = torch.randint(FIRST, len(self.vocabulary), phase.shape, generator=generator, device=phase.device)
        token = torch.where(state["read"] >= state["target"], EQUALS, token)
        token = torch.where(phase == ASKED, state["maximum"] + FIRST, token)
        token = torch.where(phase == ANSWERED, EOS, token)
        token = torch.where(state["begun"] == 0, BOS, token)
        token = torch.where(state["ended"] == 1, PAD, token)
        return token, (phase != READING) & (state["ended"] == 0)


@TASKS.register("running_maximum")
class RunningMaximumTask(CountedTask):
    """A trial is `B x1 .. xn = m E`: n random digits below `digits`, then the largest of them."""

    name = "running_maximum"
    programs = ("running_maximum",)

    def __init__(self, *, digits: int = 5, counts: Any = None, held_out: Any = None):
        super().__init__(counts, held_out)
        self.digits = digits

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(("P", "B", "E", "=", *map(str, range(self.digits))))

    def intervenable(self, input_ids: torch.Tensor) -> torch.Tensor:
        """The digits before the question."""
        return (input_ids >= FIRST) & ((input_ids == EQUALS).cumsum(1) == 0)


class ShiftedIntervention(LowRankLinearAlignmentIntervention):
    """An intervention type of one's own: here the low-rank exchange by another name."""


ALIGNMENTS.register("shifted")(
    AlignmentFunction(kind=ShiftedIntervention, learned=("columns", "rows"), fixed=(), maps=ALIGNMENTS["low_rank"].maps)
)


@ENGINES.register("mine")
class MyEngine(PyveneEngine):
    """A route of one's own: here pyvene's by another name, taken when it is asked for."""

    name = "mine"


@dataclass(frozen=True, repr=False)
class Floors(Result):
    """How often each part of the pairs is right with no exchange."""

    floors: dict[str, Share]

    name: ClassVar[str] = "floors"

    def rows(self) -> list[dict[str, Any]]:
        """A row a part."""
        return [{"pairs": part, "floor": share} for part, share in self.floors.items()]


@study(tasks="running_maximum")
def floors(
    model: nn.Module,
    task: Task,
    *,
    parts: tuple[str, ...] = ("validation", "test"),
    pairs: PairCounts = PairCounts(200, 100, 100),
    run: NoRun = NO_RUN,
) -> Floors:
    """How often is the counterfactual what the model does anyway?"""
    (asked,) = named(None, task).values()
    found = {part: Share.of(unintervened(model, measured_pairs(task, asked, pairs, part=part))) for part in parts}
    return run.show(Floors(found))
