"""Composition in a group: read a stream of elements, then say their product."""

from collections.abc import Iterable

from jaxtyping import Bool, Int
from torch import Tensor

from numsym.programs.composition import CompositionVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.counted import CountedTask


@TASKS.register("composition")
class Composition(CountedTask):
    """A trial is `B g1 .. gn = p E` with p = g1 g2 .. gn, each element uniform, n uniform over `counts`.

    Args:
        group: "Z7" and the like (integers modulo n, added), or "S3", "S4", "S5" (permutations, g h is first h, then g).
        counts: the lengths of a stream.
        held_out: lengths that training never sees; by default those of 4, 9, 14, 17 that are in `counts`.

    Raises:
        InvalidArgumentError: as for `CountedTask`, or there is no such group.
    """

    name = "composition"
    programs: tuple[str, ...] = ("running_product",)

    def __init__(
        self, *, group: str = "Z7", counts: Iterable[int] | None = None, held_out: Iterable[int] | None = None
    ):
        super().__init__(counts, held_out)
        self.group = group
        self._vocabulary = CompositionVocabulary.build(group)

    @property
    def vocabulary(self) -> CompositionVocabulary:
        """The tokens."""
        return self._vocabulary

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The elements of the stream."""
        v = self.vocabulary
        return (input_ids >= v.first) & ((input_ids == v.equals).cumsum(1) == 0)
