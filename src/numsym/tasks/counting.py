"""The counting tasks of [N] (section 3): see n objects, answer n times."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs import CountingProgram, CountingVocabulary, Program, State
from numsym.tasks.base import TASKS, Task

CONTROL = ("P", "B", "E", "T", "U")
"""Padding, begin, end, trigger, void: the tokens that every counting task has, in the order of their ids."""


class CountingTask(Task):
    """A trial is `B`, n demonstration tokens, `T`, n response tokens, `E`, with n uniform over `counts`.

    Args:
        counts: the counts that occur; [N] uses 1..20.
        held_out: counts that training never sees; [N] uses 4, 9, 14, 17. By default those of them that are in `counts`.
        void_prob: the probability that a demonstration step is the void token `U`, which counts for nothing, so that
            position does not give the count away ([N] uses 0.2 for transformers).

    Raises:
        InvalidArgumentError: `counts` is empty or has a count below 1, a held-out count is not in `counts`, every count
            is held out, or `void_prob` is outside 0..1 (1 itself never ends).
    """

    programs = ("up_down", "up_up")
    names: tuple[str, ...]
    response: str

    def __init__(
        self,
        *,
        counts: Iterable[int] = range(1, 21),
        held_out: Iterable[int] | None = None,
        void_prob: float | int = 0.0,
    ):
        self.counts = tuple(sorted(set(counts)))
        default = [c for c in (4, 9, 14, 17) if c in self.counts and len(self.counts) > 4]
        self.held_out = tuple(sorted(set(default if held_out is None else held_out)))
        self.void_prob = void_prob
        self._check()
        tokens = CONTROL + self.names
        demonstration = tuple(i for i, token in enumerate(tokens) if token.startswith("D"))
        self._vocabulary = CountingVocabulary(tokens, demonstration=demonstration, response=tokens.index(self.response))

    def _check(self) -> None:
        if not self.counts:
            raise InvalidArgumentError("counts=() is not allowed: give at least one count, such as range(1, 21)")
        if self.counts[0] < 1:
            raise InvalidArgumentError(f"counts={self.counts!r} is not allowed: every count must be at least 1")
        for count in self.held_out:
            if count not in self.counts:
                raise InvalidArgumentError(
                    f"held_out={self.held_out!r} is not allowed: {count} is not among counts={self.counts!r}"
                )
        if set(self.held_out) == set(self.counts):
            raise InvalidArgumentError(f"held_out={self.held_out!r} is not allowed: no count is left for training")
        if not 0 <= self.void_prob < 1:
            raise InvalidArgumentError(
                f"void_prob={self.void_prob!r} is not allowed: it must lie in 0..1, below 1 so that trials end"
            )

    @property
    def vocabulary(self) -> CountingVocabulary:
        """The tokens."""
        return self._vocabulary

    @property
    def has_held_out(self) -> bool:
        """Whether some counts are kept out of training."""
        return bool(self.held_out)

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Object targets, uniform over the counts of the split: `{"target": (n,)}`."""
        chosen = {
            "all": self.counts,
            "train": tuple(c for c in self.counts if c not in self.held_out),
            "held_out": self.held_out,
        }[split]
        device = torch.device("cpu") if generator is None else generator.device
        index = torch.randint(len(chosen), (n,), generator=generator, device=device)
        return {"target": torch.tensor(chosen, device=device)[index]}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The object target."""
        return plan["target"]

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """Demonstration and response tokens: not `B`, `T`, `E`, void or padding ([N] appendix)."""
        return self.vocabulary.is_item(input_ids)

    def _build(self, program: type[Program]) -> CountingProgram:
        assert issubclass(program, CountingProgram)
        return program(self.vocabulary, void_prob=self.void_prob)


@TASKS.register("multi_object")
class MultiObject(CountingTask):
    """Demonstration tokens D0, D1, D2, drawn uniformly at each step; response token R ([N] section 3)."""

    name = "multi_object"
    names = ("R", "D0", "D1", "D2")
    response = "R"


@TASKS.register("single_object")
class SingleObject(CountingTask):
    """One demonstration token D; response token R ([N] section 3)."""

    name = "single_object"
    names = ("R", "D")
    response = "R"


@TASKS.register("same_object")
class SameObject(CountingTask):
    """One token D in both phases ([N] section 3)."""

    name = "same_object"
    names = ("D",)
    response = "D"
