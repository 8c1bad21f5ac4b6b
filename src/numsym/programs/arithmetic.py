"""The programs of Arithmetic ([N] appendix): a running value, what is to be done to it, and how often still."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary, exchange

BEGIN, TOTAL, START, OPERATOR, OPERAND, EQUALS, RESULT, NEXT = range(8)
"""What comes next: `B`, k, v0, then for each operation op, x, `=`, v and `,` or `E`."""

NONE, PLUS, MINUS = -1, 0, 1
"""Values of `op`; `operand` is NONE too where nothing is waiting to be done."""


@dataclass(frozen=True)
class ArithmeticVocabulary(Vocabulary):
    """Padding, begin, end, the signs, then one token for each number 0..highest."""

    bos: int = 1
    eos: int = 2
    comma: int = 3
    equals: int = 4
    plus: int = 5
    minus: int = 6
    first: int = 7
    highest: int = 20

    @classmethod
    def build(cls, highest: int) -> "ArithmeticVocabulary":
        """The vocabulary of the numbers up to `highest`."""
        return cls(("P", "B", "E", ",", "=", "+", "-", *(str(n) for n in range(highest + 1))), highest=highest)


@PROGRAMS.register("deferred_arithmetic")
class DeferredArithmetic(Program):
    """A trial `B k v0 op x = v1 , op x = v2 , .. E` of k operations, in which an operation waits until it is asked for.

    The variables are the value, the operations that `remain`, and the `op` and `operand` that wait (NONE where none
    does). `remaining` falls when a result has been read. The plan is `target`, the number k. The task draws v0 and op
    uniformly, and x uniformly among the operands that keep the value within 0..highest; what is predictable is `=`, the
    result, and whether `,` or `E` follows.
    """

    variables: tuple[str, ...] = ("value", "remaining", "op", "operand")

    def __init__(self, vocabulary: ArithmeticVocabulary):
        self.vocabulary = vocabulary

    def start(self, plan: State) -> State:
        """Before `B`. `plan["target"]`: (batch,) the number of operations."""
        zero = torch.zeros_like(plan["target"])
        waiting = {name: zero + NONE for name in ("op", "operand")}
        return {"target": plan["target"], "ended": zero, "place": zero, "value": zero, "remaining": zero, **waiting}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Read the number, sign or end that belongs at this place; after `,` the next operation begins."""
        v, place = self.vocabulary, state["place"]
        number = (token - v.first).clamp(0, v.highest)
        # A model that runs on by itself may say anything as a result: then the program's own goes on.
        result = torch.where(token >= v.first, number, self.result(state))
        following = torch.where(place == NEXT, OPERATOR, place + 1)
        after = {
            **state,
            "value": torch.where(place == START, number, torch.where(place == RESULT, result, state["value"])),
            "remaining": torch.where(place == TOTAL, number, state["remaining"]) - (place == RESULT).long(),
            "op": torch.where(place == OPERATOR, (token == v.minus).long(), state["op"]),
            "operand": torch.where(place == OPERAND, number, state["operand"]),
            "place": following,
            "ended": torch.where(token == v.eos, 1, state["ended"]),
        }
        return self.settled(after, place)

    def settled(self, state: State, place: Int[Tensor, "batch"]) -> State:
        """What is done after the token of `place` was read: once there is a result, nothing waits."""
        done = place == RESULT
        return {**state, **{name: torch.where(done, NONE, state[name]) for name in ("op", "operand")}}

    def result(self, state: State) -> Int[Tensor, "batch"]:
        """The value that is said after `=`."""
        return applied(state["value"], state["op"], state["operand"])

    def admits(self, base: State, source: State, names: tuple[str, ...]) -> Bool[Tensor, "batch"]:
        """Where what is exchanged has a value, and no result leaves 0..highest."""
        held = torch.stack([(base[name] != NONE) & (source[name] != NONE) for name in names]).any(0)
        result = self.result(exchange(base, source, names))
        return held & (result >= 0) & (result <= self.vocabulary.highest)

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The token of each place; drawn are v0, op and x, planned is k, and the others are predictable."""
        v, place = self.vocabulary, state["place"]
        uniform = torch.rand(place.shape, generator=generator, device=place.device)
        room = torch.where(place == START, v.highest, torch.where(state["op"] == MINUS, state["value"], v.highest))
        room = torch.where((place == OPERAND) & (state["op"] == PLUS), v.highest - state["value"], room)
        drawn = v.first + (uniform * (room + 1)).long().clamp(max=room)
        tokens: dict[int, Any] = {
            BEGIN: v.bos,
            TOTAL: v.first + state["target"],
            OPERATOR: torch.where(uniform < 0.5, v.plus, v.minus),
            EQUALS: v.equals,
            RESULT: v.first + self.result(state).clamp(0, v.highest),
            NEXT: torch.where(state["remaining"] > 0, v.comma, v.eos),
        }
        token = drawn
        for where, said in tokens.items():
            token = torch.where(place == where, said, token)
        token = torch.where(state["ended"] == 1, v.pad, token)
        return token, (place >= EQUALS) & (state["ended"] == 0)


@PROGRAMS.register("eager_arithmetic")
class EagerArithmetic(DeferredArithmetic):
    """The same trial, in which an operation is done once its operand is known: the value is the new one at `=`."""

    variables = ("value", "remaining", "op")

    def settled(self, state: State, place: Int[Tensor, "batch"]) -> State:
        """With the operand read, the value changes and nothing waits any more."""
        done = place == OPERAND
        value = torch.where(done, applied(state["value"], state["op"], state["operand"]), state["value"])
        return {**state, "value": value} | {name: torch.where(done, NONE, state[name]) for name in ("op", "operand")}


def applied(
    value: Int[Tensor, "batch"], op: Int[Tensor, "batch"], operand: Int[Tensor, "batch"]
) -> Int[Tensor, "batch"]:
    """The value after an operation; the value itself where no operation waits for its result."""
    waiting = (op != NONE) & (operand != NONE)
    return value + torch.where(waiting, torch.where(op == MINUS, -operand, operand), 0)
