"""Two programs for a + b mod p: one keeps the sum, one keeps both operands ([P] section 2)."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.base import PROGRAMS, Program, State, Vocabulary


@dataclass(frozen=True)
class ModularVocabulary(Vocabulary):
    """The tokens of modular addition: p numbers, p more for b where the vocabularies are separate, `=` where used.

    All trials have one length, so no token is padding: `pad` is an id that never occurs.

    Attributes:
        p: the modulus.
        separate_vocabularies: whether b has its own tokens, p..2p-1, named with a prime.
        equals_sign: whether `=` stands between b and the answer; it is the last token.
    """

    pad: int = -1
    p: int = 2
    separate_vocabularies: bool = False
    equals_sign: bool = False

    @classmethod
    def build(cls, p: int, *, separate_vocabularies: bool = False, equals_sign: bool = False) -> "ModularVocabulary":
        """The vocabulary of these options, with its names."""
        numbers = tuple(str(n) for n in range(p))
        second = tuple(f"{n}'" for n in range(p)) if separate_vocabularies else ()
        tokens = numbers + second + (("=",) if equals_sign else ())
        return cls(tokens, p=p, separate_vocabularies=separate_vocabularies, equals_sign=equals_sign)

    @property
    def second_start(self) -> int:
        """The token of b = 0."""
        return self.p if self.separate_vocabularies else 0

    @property
    def prompt_length(self) -> int:
        """The number of tokens before the answer."""
        return 3 if self.equals_sign else 2


class ModularProgram(Program):
    """Reads a, b (and `=`), then says the answer. What is kept in between is for the subclass to say.

    A state also holds `step`, the number of tokens consumed, and the plan: `a` and `b`, what is asked.

    Args:
        vocabulary: the tokens.
    """

    def __init__(self, vocabulary: ModularVocabulary):
        self.vocabulary = vocabulary

    @abstractmethod
    def read(self, state: State, a: Int[Tensor, "batch"], b: Int[Tensor, "batch"], step: Tensor) -> State:
        """The variables after a token that is a where `step` is 0 and b where it is 1."""

    @abstractmethod
    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """The answer in 0..p-1, from the variables alone."""

    def start(self, plan: State) -> State:
        """Nothing read yet. `plan`: the operands `a` and `b`, each (batch,) int64 in 0..p-1."""
        zero = torch.zeros_like(plan["a"])
        return {"a": plan["a"], "b": plan["b"], "step": zero, "ended": zero} | dict.fromkeys(self.variables, zero)

    def update(self, state: State, token: Int[Tensor, "batch"]) -> State:
        """Take in an operand; the answer ends the trial."""
        step = state["step"]
        changed = self.read(state, token, token - self.vocabulary.second_start, step)
        ended = (step >= self.vocabulary.prompt_length).long()
        return {**state, **changed, "step": step + 1, "ended": ended}

    def emit(
        self, state: State, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "batch"], Bool[Tensor, "batch"]]:
        """The operands as planned, `=` where used, then the answer, which alone is predictable."""
        step, vocabulary = state["step"], self.vocabulary
        token = torch.where(step == 0, state["a"], state["b"] + vocabulary.second_start)
        if vocabulary.equals_sign:
            token = torch.where(step == 2, len(vocabulary) - 1, token)
        answering = step == vocabulary.prompt_length
        token = torch.where(answering, self.answer(state), token)
        return token.masked_fill(state["ended"].bool(), vocabulary.pad), answering


@PROGRAMS.register("modular_sum")
class ModularSum(ModularProgram):
    """Keeps a running `sum` modulo p: a after the first token, a + b after the second."""

    variables = ("sum",)

    def read(self, state: State, a: Int[Tensor, "batch"], b: Int[Tensor, "batch"], step: Tensor) -> State:
        """Start at a, then add b."""
        total = torch.where(step == 0, a, (state["sum"] + b) % self.vocabulary.p)
        return {"sum": torch.where(step < 2, total, state["sum"])}

    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """The sum."""
        return state["sum"]


@PROGRAMS.register("modular_operands")
class ModularOperands(ModularProgram):
    """Keeps the operands apart, `first` and `second`, and adds them only to answer."""

    variables = ("first", "second")

    def read(self, state: State, a: Int[Tensor, "batch"], b: Int[Tensor, "batch"], step: Tensor) -> State:
        """Keep each operand as it comes."""
        return {
            "first": torch.where(step == 0, a, state["first"]),
            "second": torch.where(step == 1, b, state["second"]),
        }

    def answer(self, state: State) -> Int[Tensor, "batch"]:
        """Their sum modulo p."""
        return (state["first"] + state["second"]) % self.vocabulary.p
