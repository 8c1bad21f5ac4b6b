"""Addition of decimal numbers as a tokenizer cuts them ([F], addition; the cuts and their padding are numsym's own)."""

import torch
from jaxtyping import Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_between, check_name
from numsym.programs.base import Program, State
from numsym.programs.written_addition import CUTS, ChunkVocabulary, WrittenAddition
from numsym.tasks.addition import SumTask
from numsym.tasks.base import TASKS


@TASKS.register("written_addition")
class WrittenAdditionTask(SumTask):
    """A trial is `a + b = c E`, a and b of `digits` decimal digits, each number cut into tokens of `chunk` digits.

    a and b are uniform; the sum has a digit more in about half of the trials, and it is there that the cuts differ:
    12345 is `12 34 5` from the left and `1 23 45` from the right.

    Args:
        digits: of a and b; a multiple of `chunk`.
        chunk: digits a token.
        cut: "left" or "right", or either with "_padded": a zero then fills up the short token of an answer.
        held_out: one pair in so many is kept out of training; 0 is none.

    Raises:
        UnknownNameError: no such cut.
        InvalidArgumentError: a number is out of range, or `digits` is not a multiple of `chunk`.
    """

    name = "written_addition"
    programs = ("written_addition",)

    def __init__(self, *, digits: int = 4, chunk: int = 2, cut: str = "left", held_out: int = 0):
        check_between("digits", digits, 1, 17, why="sums are taken in int64")
        check_between("chunk", chunk, 1, 4, why="each string of digits is a token")
        check_name("cut", cut, CUTS)
        super().__init__(held_out)
        if digits % chunk:
            raise InvalidArgumentError(f"digits={digits} is not allowed with chunk={chunk}: give a multiple of {chunk}")
        self.digits, self.chunk, self.cut = digits, chunk, cut
        self._vocabulary = ChunkVocabulary.build(chunk)

    @property
    def vocabulary(self) -> ChunkVocabulary:
        """The tokens; the id of a string of `chunk` digits is its number."""
        return self._vocabulary

    @property
    def numbers(self) -> int:
        """How many numbers have a token of their own, from 0."""
        return 10**self.chunk

    @property
    def longest(self) -> int:
        """The most tokens of a trial."""
        return 3 * (self.digits // self.chunk) + 4  # two signs, one token more in the sum, the end

    def uniform(self, n: int, generator: torch.Generator | None) -> State:
        """Over the numbers of `digits` digits."""
        device = torch.device("cpu") if generator is None else generator.device
        low, high = 10 ** (self.digits - 1) if self.digits > 1 else 0, 10**self.digits
        return {x: torch.randint(low, high, (n,), generator=generator, device=device) for x in ("a", "b")}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The last `chunk` digits of the sum."""
        return (plan["a"] + plan["b"]) % self.numbers

    def build(self, program: type[Program]) -> WrittenAddition:
        """A program of this task, with what it needs to know of it."""
        assert issubclass(program, WrittenAddition)
        return program(self.vocabulary, digits=self.digits, cut=self.cut)
