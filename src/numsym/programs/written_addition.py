"""The program of addition as a tokenizer cuts it: decimal numbers in tokens of some digits, from the left or right."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.addition import ANSWER, LEFT, RIGHT
from numsym.programs.base import PROGRAMS, Program, State, Vocabulary

CUTS = ("left", "right", "left_padded", "right_padded")
"""Where the digits of a number are counted off from, and whether a zero fills up the token that would be short."""


@dataclass(frozen=True)
class ChunkVocabulary(Vocabulary):
    """A token for each string of 1..`chunk` decimal digits, then `+`, `=`, the end, padding.

    The id of a string of `chunk` digits is its number, so that the first 10^chunk rows of an embedding are those of the
    numbers; shorter strings (the short token of a cut number) come after them, the longer ones first.
    """

    chunk: int = 2
    plus: int = 110
    equals: int = 111
    end: int = 112

    @classmethod
    def build(cls, chunk: int) -> "ChunkVocabulary":
        """The vocabulary of tokens of up to `chunk` digits."""
        names = [f"{n:0{length}d}" for length in range(chunk, 0, -1) for n in range(10**length)]
        size = len(names)
        return cls((*names, "+", "=", "E", "P"), pad=size + 3, chunk=chunk, plus=size, equals=size + 1, end=size + 2)

    def ids(self, value: Int[Tensor, "batch"], length: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
        """The token of a string of digits, from its number and its length."""
        starts = self._starts(value.device)
        return starts[length] + value

    def strings(self, token: Int[Tensor, "batch"]) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
        """The number and the length of a token's digits; both 0 where it has none."""
        starts = self._starts(token.device)
        length = (token[:, None] >= starts[1:]).long().argmax(dim=1) + 1
        digits = token < self.plus
        return torch.where(digits, token - starts[length], 0), torch.where(digits, length, 0)

    def _starts(self, device: torch.device) -> Tensor:
        """The id of the first string of each length (that of length 0 is not used)."""
        sizes = torch.tensor([10**length for length in range(self.chunk + 1)], device=device)
        return sizes.flip(0).cumsum(0).flip(0) - sizes


@PROGRAMS.register("written_addition")
class WrittenAddition(Program):
    """A trial `a + b = c E`, each number cut into tokens of `chunk` digits.

    The variables are the two numbers as read so far; the plan is `a` and `b`, numbers of `digits` digits. What the cut
    decides is the sum of one digit more: 12345 is `12 34 5` from the left, `1 23 45` from the right, and with a zero in
    the short token `12 34 50` and `01 23 45`.
    """

    variables = ("left", "right")

    def __init__(self, vocabulary: ChunkVocabulary, *, digits: int = 4, cut: str = "left"):
        self.vocabulary = vocabulary
        self.digits = digits
        self.cut = cut

    def start(self, plan: State) -> State:
        """Before the first token of a: nothing is read."""
        zero = torch.zeros_like(plan["a"])
        return {"a": plan["a"], "b": plan["b"], "left": zero, "right": zero, "phase": zero, "read": zero, "ended": zero}

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Digits extend the number of the present phase; `+` and `=` begin the next phase, the end ends the answer."""
        v, phase = self.vocabulary, state["phase"]
        value, length = v.strings(token)
        scale = torch.full_like(length, 10) ** length
        sign = ((token == v.plus) | (token == v.equals)) & (phase != ANSWER)
        return {
            **state,
            **{
                name: torch.where(phase == which, state[name] * scale + value, state[name])
                for name, which in (("left", LEFT), ("right", RIGHT))
            },
            "phase": phase + sign.long(),
            "read": torch.where(sign, 0, state["read"] + 1),
            "ended": torch.where((phase == ANSWER) & (token == v.end), 1, state["ended"]),
        }

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The tokens of a, `+`, those of b, `=`, those of the sum and the end; the answer's and the end's follow."""
        v, phase, read = self.vocabulary, state["phase"], state["read"]
        answer = phase == ANSWER
        number = torch.where(answer, state["left"] + state["right"], torch.where(phase == LEFT, state["a"], state["b"]))
        token, count = self._piece(number, read)
        over = read >= count
        token = torch.where(over, torch.where(answer, v.end, v.plus + phase), token)
        token = torch.where(state["ended"] == 1, v.pad, token)
        return token, answer & (state["ended"] == 0)

    def _piece(
        self, number: Int[Tensor, "batch"], index: Int[Tensor, "batch"]
    ) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
        """The token at a place of each number, and how many its number has."""
        size = self.vocabulary.chunk
        powers = torch.tensor([10**k for k in range(1, self.digits + 1)], device=number.device)
        length = (number[:, None] >= powers).sum(dim=1) + 1
        count = (length + size - 1) // size
        short = count * size - length
        if self.cut == "left_padded":
            number = number * torch.full_like(short, 10) ** short
        if self.cut.endswith("_padded"):
            length, short = count * size, torch.zeros_like(short)
        shift = short if self.cut == "right" else torch.zeros_like(short)
        start = (index * size - shift).clamp_min(0)
        end = torch.minimum((index + 1) * size - shift, length)
        held = (end - start).clamp(1, size)
        below = torch.full_like(end, 10) ** (length - end).clamp_min(0)
        value = torch.div(number, below, rounding_mode="floor") % torch.full_like(held, 10) ** held
        return self.vocabulary.ids(value, held), count
