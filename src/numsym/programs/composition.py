"""The programs of composition in a group: keep the product of what has been read, and say it when asked."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary
from numsym.programs.groups import Group, group

READING, ASKED, ANSWERED = 0, 1, 2


@dataclass(frozen=True)
class CompositionVocabulary(Vocabulary):
    """Padding, begin, end, `=`, then one token for each element of the group."""

    group: Group = field(default_factory=lambda: group("Z2"))
    bos: int = 1
    eos: int = 2
    equals: int = 3
    first: int = 4

    @classmethod
    def build(cls, name: str) -> "CompositionVocabulary":
        """The vocabulary of a group, by the group's name."""
        chosen = group(name)
        return cls(("P", "B", "E", "=", *chosen.elements), group=chosen)


@PROGRAMS.register("running_product")
class RunningProduct(Program):
    """A trial `B g1 .. gn = p E` with p = g1 g2 .. gn: keeps the product of the elements read so far.

    The plan is `target`, the number n of elements; each is drawn uniformly. An exchange changes the product, and the
    elements that are still to come are multiplied to it.
    """

    variables: tuple[str, ...] = ("product",)

    def __init__(self, vocabulary: CompositionVocabulary):
        self.vocabulary = vocabulary

    def start(self, plan: State) -> State:
        """Before `B`: nothing read, and the product is the identity."""
        zero = torch.zeros_like(plan["target"])
        return {
            "target": plan["target"],
            "begun": zero,
            "ended": zero,
            "read": zero,
            "phase": zero,
            self.variables[0]: zero,
        }

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Multiply an element to the product; `=` asks for it, and what follows is taken as the answer."""
        v, phase = self.vocabulary, state["phase"]
        (name,) = self.variables
        element = (token >= v.first) & (phase == READING)
        product = v.group.table.to(token.device)[state[name], (token - v.first).clamp_min(0)]
        answered = torch.where(phase == ASKED, ANSWERED, phase)
        return {
            **state,
            name: torch.where(element, product, state[name]),
            "read": state["read"] + element.long(),
            "phase": torch.where(token == v.equals, ASKED, answered),
            "begun": torch.where(token == v.bos, 1, state["begun"]),
            "ended": torch.where(token == v.eos, 1, state["ended"]),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """`B`, elements up to the target, `=`, the product, `E`; the last two are predictable."""
        v, phase = self.vocabulary, state["phase"]
        drawn = torch.randint(v.first, len(v), phase.shape, generator=generator, device=phase.device, dtype=phase.dtype)
        token = torch.where(state["read"] >= state["target"], v.equals, drawn)
        token = torch.where(phase == ASKED, state[self.variables[0]] + v.first, token)
        token = torch.where(phase == ANSWERED, v.eos, token)
        token = torch.where(state["begun"] == 0, v.bos, token)
        token = torch.where(state["ended"] == 1, v.pad, token)
        return token, (phase != READING) & (state["ended"] == 0)


@PROGRAMS.register("running_parity")
class RunningParity(RunningProduct):
    """The product in Z2 by its own name: whether an odd number of ones has been read."""

    variables = ("parity",)
