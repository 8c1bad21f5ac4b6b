"""Parity of a stream of bits."""

from collections.abc import Iterable

from numsym.tasks.base import TASKS
from numsym.tasks.composition import Composition


@TASKS.register("parity")
class Parity(Composition):
    """A trial is `B b1 .. bn = p E`: n random bits, then 1 if an odd number of them is 1, else 0.

    Args:
        counts: the lengths of a stream.
        held_out: lengths that training never sees; by default those of 4, 9, 14, 17 that are in `counts`.
    """

    name = "parity"
    programs = ("running_parity",)

    def __init__(self, *, counts: Iterable[int] | None = None, held_out: Iterable[int] | None = None):
        super().__init__(group="Z2", counts=counts, held_out=held_out)
