"""What the counting tasks ask for instead of n itself ([N] appendix: Mod, Round, Square), applied at the trigger."""

from collections.abc import Callable

from jaxtyping import Int
from torch import Tensor

from numsym.registry import Registry

TRANSFORMS: Registry[Callable[[Tensor], Tensor]] = Registry("transform")
"""How many responses n objects ask for, by the name that recipes use. n is at least 0, and so is the answer."""

MODULUS, MULTIPLE = 4, 3


@TRANSFORMS.register("identity")
def identity(n: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """The count n."""
    return n


@TRANSFORMS.register("mod")
def mod(n: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """Compute n mod 4, which is 0 for every fourth count: the end then follows the trigger."""
    return n % MODULUS


@TRANSFORMS.register("round")
def rounded(n: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """Round n to the nearest multiple of 3: 0 for n = 1."""
    return (n + MULTIPLE // 2) // MULTIPLE * MULTIPLE


@TRANSFORMS.register("square")
def square(n: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """Compute n squared."""
    return n * n
