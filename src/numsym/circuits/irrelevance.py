"""Distance irrelevance: does the correct logit depend on a - b ([P] section 4.2)?"""

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder, check_odd


def distance_irrelevance(model: Adder | ModularModel) -> float:
    """How little the correct logit depends on the distance a - b of the operands ([P] section 4.2).

    With L the matrix of `correct_logits`: the mean over its columns (one distance each) of the standard deviation down
    the column, divided by the standard deviation of all of L.

    Returns:
        A number in 0..1: 0 where the logit depends on the distance alone, towards 1 where it does not depend on it.
        Where every correct logit is the same number, nothing varies and the result is 1.

    Raises:
        InvalidArgumentError: p is even.
        ModelMismatchError: the logits are not one for each answer.
    """
    matrix = correct_logits(model).double()
    spread = matrix.std(correction=0)
    # Rounding alone still varies a little: the logits come in float32.
    if spread <= 1e-6 * matrix.abs().max():
        return 1.0
    return (matrix.std(0, correction=0).mean() / spread).item()


def correct_logits(model: Adder | ModularModel) -> Float[Tensor, "sum distance"]:
    """L[(a + b) mod p, (a - b) mod p]: the logit of the correct answer of every pair, (p, p).

    Raises:
        InvalidArgumentError: p is even: sums and distances then have the same parity and leave half of L empty.
    """
    adder = as_adder(model)
    p = adder.p
    check_odd(p, "the matrix of correct logits by sum and distance")
    a, b = adder.pairs().unbind(1)
    correct = adder.table()[a, b, (a + b) % p]
    matrix = torch.empty_like(correct).view(p, p)
    matrix[(a + b) % p, (a - b) % p] = correct
    return matrix
