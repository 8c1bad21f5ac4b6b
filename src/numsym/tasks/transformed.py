"""The counting tasks whose answer is a function of the count ([N] appendix): Mod, Round, Square."""

from numsym.tasks.base import TASKS
from numsym.tasks.counting import MultiObject


@TASKS.register("mod")
class Mod(MultiObject):
    """Multi-Object that asks for n mod 4 responses: `T E` after 4 objects ([N] appendix)."""

    name = "mod"
    transform = "mod"


@TASKS.register("round")
class Round(MultiObject):
    """Multi-Object that asks for n rounded to the nearest multiple of 3: `T E` after 1 object ([N] appendix)."""

    name = "round"
    transform = "round"


@TASKS.register("square")
class Square(MultiObject):
    """Multi-Object that asks for n squared responses ([N] appendix).

    Counts are 1..10 unless given, so that a trial has at most 113 tokens: of 1..20 the longest would have 423.
    """

    name = "square"
    transform = "square"
    usual_counts = range(1, 11)
