"""The counting tasks of [N] (section 3): see n objects, answer n times."""

from collections.abc import Iterable

from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs import CountingProgram, CountingVocabulary, Program
from numsym.tasks.base import TASKS
from numsym.tasks.counted import CountedTask

CONTROL = ("P", "B", "E", "T", "U")
"""Padding, begin, end, trigger, void: the tokens that every counting task has, in the order of their ids."""


class CountingTask(CountedTask):
    """A trial is `B`, n demonstration tokens, `T`, the responses, `E`, with n uniform over `counts`.

    There are n response tokens, or f(n) in a task with a transform f: none where that is 0.

    Args:
        counts: the counts that occur; [N] uses 1..20.
        held_out: counts that training never sees; [N] uses 4, 9, 14, 17. By default those of them that are in `counts`.
        void_prob: the probability that a demonstration step is the void token `U`, which counts for nothing, so that
            position does not give the count away ([N] uses 0.2 for transformers).

    Raises:
        InvalidArgumentError: as for `CountedTask`, or `void_prob` is outside 0..1 (1 itself never ends).
    """

    programs = ("up_down", "up_up", "increment", "decrement", "ctx_distr")
    names: tuple[str, ...]
    response: str
    transform = "identity"

    def __init__(
        self,
        *,
        counts: Iterable[int] | None = None,
        held_out: Iterable[int] | None = None,
        void_prob: float | int = 0.0,
    ):
        if not hasattr(self, "names"):
            raise InvalidArgumentError(f"{type(self).__name__} is not allowed by itself: choose MultiObject, ...")
        super().__init__(counts, held_out)
        if not 0 <= void_prob < 1:
            raise InvalidArgumentError(
                f"void_prob={void_prob!r} is not allowed: it must lie in 0..1, below 1 so that trials end"
            )
        self.void_prob = void_prob
        tokens = CONTROL + self.names
        demonstration = tuple(i for i, token in enumerate(tokens) if token.startswith("D"))
        self._vocabulary = CountingVocabulary(tokens, demonstration=demonstration, response=tokens.index(self.response))

    @property
    def search(self) -> tuple[str, str]:
        """Up-Down's count."""
        return "up_down", "count"

    @property
    def vocabulary(self) -> CountingVocabulary:
        """The tokens."""
        return self._vocabulary

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """Demonstration and response tokens: not `B`, `T`, `E`, void or padding ([N] appendix)."""
        return self.vocabulary.is_item(input_ids)

    def build(self, program: type[Program]) -> CountingProgram:
        """A program of this task, with what it needs to know of it."""
        assert issubclass(program, CountingProgram)
        return program(self.vocabulary, void_prob=self.void_prob, transform=self.transform, highest=self.counts[-1])


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
