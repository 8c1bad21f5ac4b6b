"""How a modular transformer attends: from the last position to a, for every pair of operands."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import PAIRS_AT_ONCE, as_adder
from numsym.errors import check_between
from numsym.figures import drawing, panels
from numsym.models import ModularTransformer, Site
from numsym.models.activations import reading
from numsym.results import Result, beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class AttentionToFirst(Result):
    """The attention weight from the last position to a.

    Attributes:
        layer: of which block.
        alpha: of the model: the share of the weight that is a softmax; the rest is constant.
        weights: by head, a and b.
    """

    layer: int
    alpha: float
    weights: Float[Tensor, "head p p"] = beside()

    name: ClassVar[str] = "attention"

    @property
    def title(self) -> str:
        """What is read, and where."""
        return f"attention from the last position to a, layer {self.layer}, alpha = {self.alpha:g}"

    def rows(self) -> list[dict[str, Any]]:
        """A row a head: mean, standard deviation and range of the weight over all pairs."""
        heads = self.weights.flatten(1)
        columns = {"mean": heads.mean(1), "sd": heads.std(1, correction=0), "lowest": heads.amin(1)}
        columns["highest"] = heads.amax(1)
        return [{"head": i, **{key: v[i].item() for key, v in columns.items()}} for i in range(len(heads))]

    def figure(self) -> "Figure":
        """A field a head: the weight by a and b."""
        # A softmax weight of 0 leaves the constant part; without attention there is nothing but it.
        low = 1 - self.alpha if self.alpha > 0 else 0.0
        with drawing(**{"axes.grid": False}) as plt:
            figure, axes = panels(plt, len(self.weights), min(4, len(self.weights)), size=2.7)
            for head, axis in enumerate(axes):
                field = self.weights[head].cpu().numpy()
                image = axis.imshow(field, origin="lower", cmap="viridis", interpolation="nearest", vmin=low, vmax=1.0)
                axis.set(xlabel="b", ylabel="a", title=f"head {head}")
            figure.colorbar(image, ax=axes, label="weight on a", shrink=0.8)
            figure.suptitle(self.title, fontsize=10)
        return figure


def attention_to_first(model: ModularTransformer, *, layer: int = 0) -> AttentionToFirst:
    """Read the attention weight from the last position to a, by head, a and b; the model stays as it is.

    Args:
        model: the transformer of [P].
        layer: of which block.

    Raises:
        InvalidArgumentError: no such layer.
    """
    check_between("layer", layer, 0, len(model.blocks) - 1)
    adder, site, seen = as_adder(model), f"blocks[{layer}].attention.pattern.output", []
    for part in adder.pairs().split(PAIRS_AT_ONCE):
        with torch.no_grad(), reading(model, site) as found:
            adder.evaluate(adder.embed_a[part[:, 0]], adder.embed_b[part[:, 1]])
        seen.append(found[Site(site)][:, :, -1, 0])
    return AttentionToFirst(layer, model.config.alpha, rearrange(torch.cat(seen), "(a b) head -> head a b", a=model.p))
