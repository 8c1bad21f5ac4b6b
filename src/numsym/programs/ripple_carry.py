"""Ripple-carry addition: digit by digit from the lowest, with a carry from each column into the next."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.addition import AdditionVocabulary
from numsym.programs.base import PROGRAMS, Program, State

NONE = -1
"""The value of a digit or carry that is not known yet, or not needed any more."""


def names(digits: int) -> tuple[str, ...]:
    """The variables of an adder: each sum digit, each carry, and the digits of a that wait for those of b."""
    return (
        *(f"sum_{i}" for i in range(digits)),
        *(f"carry_{i}" for i in range(1, digits + 1)),
        *(f"left_{i}" for i in range(digits)),
    )


@PROGRAMS.register("ripple_carry")
class RippleCarry(Program):
    """Reads a and b with the lowest digit first, then says their sum, lowest digit first and with one digit more.

    Interleaved, a trial is `a0 b0 a1 b1 .. = s0 s1 .. sn`; else it is `a0 a1 .. + b0 b1 .. = s0 s1 .. sn`. When b_i is
    read, t = a_i + b_i + carry_i gives sum_i = t mod base and carry_{i+1} = t div base; carry_0 is 0, and the last
    carry is s_n. A variable holds its value from then until it has been used: a carry until the next column, a sum
    until it has been said. The plan is `a` and `b`.

    Args:
        vocabulary: the tokens.
        digits: of a and of b, n.
        interleaved: the order of the digits.
    """

    variables = names(4)

    def __init__(self, vocabulary: AdditionVocabulary, *, digits: int = 4, interleaved: bool = True):
        self.vocabulary, self.digits = vocabulary, digits
        self.variables = names(digits)
        self.reads_a = [2 * i if interleaved else i for i in range(digits)]
        self.reads_b = [2 * i + 1 if interleaved else digits + 1 + i for i in range(digits)]
        self.equals = 2 * digits + (not interleaved)

    def start(self, plan: State) -> State:
        """Nothing read. `plan`: the numbers `a` and `b`, each (batch,) int64."""
        zero = torch.zeros_like(plan["a"])
        unknown = dict.fromkeys(self.variables, zero + NONE)
        return {"a": plan["a"], "b": plan["b"], "step": zero, "ended": zero, **unknown}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Take in a digit, or what was said of the sum."""
        step, base, state = state["step"], self.vocabulary.base, dict(state)
        for i in range(self.digits):
            reads_a, reads_b = step == self.reads_a[i], step == self.reads_b[i]
            carry = state[f"carry_{i}"] if i else torch.zeros_like(step)
            column = state[f"left_{i}"] + token + carry
            state[f"left_{i}"] = torch.where(reads_b, NONE, torch.where(reads_a, token, state[f"left_{i}"]))
            state[f"sum_{i}"] = torch.where(reads_b, column % base, state[f"sum_{i}"])
            state[f"carry_{i + 1}"] = torch.where(reads_b, column // base, state[f"carry_{i + 1}"])
            if i:
                state[f"carry_{i}"] = torch.where(reads_b, NONE, carry)
            state[f"sum_{i}"] = torch.where(step == self.equals + 1 + i, NONE, state[f"sum_{i}"])
        last = step == self.equals + 1 + self.digits
        state[f"carry_{self.digits}"] = torch.where(last, NONE, state[f"carry_{self.digits}"])
        return {**state, "step": step + 1, "ended": torch.where(last, 1, state["ended"])}

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The digits in their order, `+` where used, `=`, and the sum, which is predictable."""
        v, step = self.vocabulary, state["step"]
        token = torch.where(step == self.equals, v.equals, v.plus)
        for i in range(self.digits):
            for number, reads in (("a", self.reads_a), ("b", self.reads_b)):
                digit = torch.div(state[number], v.base**i, rounding_mode="floor") % v.base
                token = torch.where(step == reads[i], digit, token)
            token = torch.where(step == self.equals + 1 + i, state[f"sum_{i}"], token)
        token = torch.where(step == self.equals + 1 + self.digits, state[f"carry_{self.digits}"], token)
        ended = state["ended"] == 1
        return torch.where(ended, v.pad, token), (step > self.equals) & ~ended

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Where what is exchanged has a value in both, at the same step."""
        held = torch.stack([(base[name] != NONE) & (source[name] != NONE) for name in names]).any(0)
        return held & (base["step"] == source["step"])
