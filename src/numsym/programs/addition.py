"""The program of the addition tasks ([F], addition): read two numbers digit by digit, write their sum."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary

LEFT, RIGHT, ANSWER = 0, 1, 2


@dataclass(frozen=True)
class AdditionVocabulary(Vocabulary):
    """One token for each digit 0..base-1, its id the digit itself; then `+`, `=` and padding."""

    base: int = 100
    plus: int = 100
    equals: int = 101

    @classmethod
    def build(cls, base: int) -> "AdditionVocabulary":
        """The vocabulary of a base."""
        tokens = (*(str(digit) for digit in range(base)), "+", "=", "P")
        return cls(tokens, pad=base + 2, base=base, plus=base, equals=base + 1)


@PROGRAMS.register("addition")
class Addition(Program):
    """A trial `a + b = c`, each number of `digits` tokens with the highest digit first.

    The variables are the two numbers as read so far; the plan is `a` and `b`, the numbers to be written. In the
    answer, c = left + right modulo base^digits: its digit i is (a_i + b_i + carry) mod base.
    """

    variables = ("left", "right")

    def __init__(self, vocabulary: AdditionVocabulary, *, digits: int = 1):
        self.vocabulary = vocabulary
        self.digits = digits

    def start(self, plan: State) -> State:
        """Before the first digit of a: nothing is read."""
        zero = torch.zeros_like(plan["a"])
        return {"a": plan["a"], "b": plan["b"], "left": zero, "right": zero, "phase": zero, "read": zero, "ended": zero}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """A digit extends the number of the present phase; `+` and `=` begin the next phase.

        A network that runs on by itself may say anything in the answer: there each token stands in a digit's place.
        """
        v, phase = self.vocabulary, state["phase"]
        digit, answer = token < v.base, phase == ANSWER
        sign = ((token == v.plus) | (token == v.equals)) & ~answer
        read = torch.where(sign, 0, state["read"] + (digit | answer).long())
        return {
            **state,
            "left": torch.where(digit & (phase == LEFT), state["left"] * v.base + token, state["left"]),
            "right": torch.where(digit & (phase == RIGHT), state["right"] * v.base + token, state["right"]),
            "phase": phase + sign.long(),
            "read": read,
            "ended": torch.where(answer & (read == self.digits), 1, state["ended"]),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The digits of a, `+`, those of b, `=`, those of the sum; the last ones are predictable."""
        v, phase, read = self.vocabulary, state["phase"], state["read"]
        total = state["left"] + state["right"]
        number = torch.where(phase == LEFT, state["a"], torch.where(phase == RIGHT, state["b"], total))
        place = torch.full_like(read, v.base) ** (self.digits - 1 - read).clamp_min(0)
        token = torch.div(number, place, rounding_mode="floor") % v.base
        token = torch.where((phase != ANSWER) & (read == self.digits), v.plus + phase, token)
        token = torch.where(state["ended"] == 1, v.pad, token)
        return token, (phase == ANSWER) & (state["ended"] == 0)
