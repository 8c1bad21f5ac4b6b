"""Distance irrelevance: does the correct logit depend on a - b ([P] section 4.2)?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder, check_odd
from numsym.figures import drawing
from numsym.results import Result, beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class CorrectLogits(Result):
    """The logit of the correct answer of every pair.

    Attributes:
        matrix: L[(a + b) mod p, (a - b) mod p], (p, p).
    """

    matrix: Float[Tensor, "sum distance"] = beside()

    name: ClassVar[str] = "correct_logits"

    @property
    def irrelevance(self) -> float:
        """The mean over columns of the standard deviation down each, divided by that of all of L ([P] section 4.2)."""
        matrix = self.matrix.double()
        spread = matrix.std(correction=0)
        # Rounding alone still varies a little: the logits come in float32.
        if spread <= 1e-6 * matrix.abs().max():
            return 1.0
        return (matrix.std(0, correction=0).mean() / spread).item()

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "logit of the correct answer by (a - b) mod p, over all sums"

    def rows(self) -> list[dict[str, Any]]:
        """A row a distance: the mean of the logit over sums, and its standard deviation."""
        means, spreads = self.matrix.mean(0).tolist(), self.matrix.std(0, correction=0).tolist()
        return [{"distance": d, "mean": m, "sd": s} for d, (m, s) in enumerate(zip(means, spreads, strict=True))]

    def to_dict(self) -> dict[str, Any]:
        """What of it is one number."""
        return self.tables()["logit of the correct answer"][0]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What of it is one number."""
        lowest, highest = self.matrix.aminmax()
        row = {"distance_irrelevance": self.irrelevance, "lowest": lowest.item(), "highest": highest.item()}
        return {"logit of the correct answer": [row]}

    def figure(self) -> "Figure":
        """L as a field ([P] figure 3): vertical stripes are a Pizza (the distance decides), a flat field is a Clock."""
        with drawing() as plt:
            figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
            image = axes.imshow(self.matrix.cpu().numpy(), origin="lower", cmap="viridis", interpolation="nearest")
            axes.set(xlabel="(a - b) mod p", ylabel="(a + b) mod p", title="logit of the correct answer")
            axes.grid(visible=False)
            figure.colorbar(image, ax=axes, label="logit")
        return figure


def distance_irrelevance(model: Adder | ModularModel) -> float:
    """How little the correct logit depends on the distance a - b of the operands ([P] section 4.2).

    Returns:
        `CorrectLogits.irrelevance`, in 0..1: 0 where the logit depends on the distance alone, towards 1 where it does
        not depend on it. Where every correct logit is the same number, nothing varies and the result is 1.

    Raises:
        InvalidArgumentError: p is even.
        ModelMismatchError: the logits are not one for each answer.
    """
    return correct_logits(model).irrelevance


def correct_logits(model: Adder | ModularModel) -> CorrectLogits:
    """The logit of the correct answer of every pair, by sum and distance of the operands.

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
    return CorrectLogits(matrix)
