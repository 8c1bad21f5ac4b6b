"""Attention as counting: what each token adds to a token's logit, against the attention it gets ([N], strength-value).

A transformer that runs Ctx-Distr gives every token a value, +1 or -1, which attention sums. Seen from the logit of the
end token, demonstration tokens then push it down, response tokens up, each in proportion to its attention weight and
with about the same strength.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, ModelMismatchError, check_between
from numsym.figures import COLOURS, drawing, panels
from numsym.models import TransformerLM
from numsym.results import Result, beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 400
"""Points shown of each kind in each panel."""

NOTES = """\
Slope of what a token adds to the logit (straight, without later layers) on the
attention it gets. Summed: what one token adds through all heads, on average."""


@dataclass(frozen=True, repr=False)
class StrengthValue(Result):
    """Attention weights and contributions, one entry (`item`) a pair of a predicting position and a token it sees.

    Attributes:
        strength: kind -> slope of contribution on weight through the origin, sum(a c) / sum(a^2), by layer and head;
            for the kinds that occur.
        pushes: kind -> mean contribution of one such token, summed over layers and heads, in logits.
        rest: mean over predicting positions of the other terms: "embedding", "attention bias", "mlp", "constant".
        error: the largest difference between the sum of all terms and the logit, over predicting positions.
        kinds: what a token may be.
        weight: attention weights a; `None` where only the numbers were read, and so are the next two.
        contribution: c = a (v W_O) . u, in logits: what this head moves from the token straight to the logit. u is the
            unembedding's direction with the final norm's scale at the predicting position folded in; what later layers
            make of it is in their own contributions. So all contributions and the terms of `rest` sum to the logit
            exactly.
        kind: index into `kinds`.
        of: what is split, for the figure's axis.
    """

    strength: dict[str, Float[Tensor, "layer head"]]
    pushes: dict[str, float]
    rest: dict[str, float]
    error: float
    kinds: tuple[str, ...]
    weight: Float[Tensor, "layer head item"] | None = beside()
    contribution: Float[Tensor, "layer head item"] | None = beside()
    kind: Int[Tensor, "item"] | None = beside()
    of: str = "the logit"

    name: ClassVar[str] = "strength_value"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "strength-value, in logits"

    def rows(self) -> list[dict[str, Any]]:
        """A row a head: the slope of each kind of token; and what all heads add."""
        layers, heads = next(iter(self.strength.values())).shape
        rows: list[dict[str, Any]] = [
            {"head": f"{i}.{j}", **{name: slope[i, j].item() for name, slope in self.strength.items()}}
            for i in range(layers)
            for j in range(heads)
        ]
        return [*rows, {"head": "summed", **self.pushes}]

    def shown(self, kind: str, points: int = POINTS) -> Int[Tensor, "item"]:
        """Some of the items of a kind, drawn at random but always the same.

        Raises:
            InvalidArgumentError: the result was read without its items.
        """
        if self.kind is None:
            raise InvalidArgumentError("this result holds no items: read it by StrengthValue.load from its folder")
        items = (self.kind == self.kinds.index(kind)).nonzero()[:, 0].cpu()
        return items[torch.randperm(len(items), generator=torch.Generator().manual_seed(0))[:points]]

    def figure(self) -> "Figure | None":
        """A panel a head: contribution against attention weight by kind of token, with the slopes as lines.

        `None` where the result was read without its items.
        """
        if self.weight is None or self.contribution is None:
            return None
        layers, heads, _ = self.weight.shape
        with drawing() as plt:
            figure, axes = panels(plt, layers * heads, heads, size=2.4)
            for name in self.strength:
                colour, items = COLOURS[self.kinds.index(name) % len(COLOURS)], self.shown(name)
                for place, axis in enumerate(axes):
                    layer, head = divmod(place, heads)
                    a, c = (t[layer, head].cpu()[items] for t in (self.weight, self.contribution))
                    axis.scatter(a, c, s=5, color=colour, alpha=0.4, linewidth=0, rasterized=True)
                    end = float(a.max())
                    axis.plot([0.0, end], [0.0, end * float(self.strength[name][layer, head])], color=colour, lw=1.2)
            for place, axis in enumerate(axes):
                axis.set_title(f"layer {place // heads}, head {place % heads}", fontsize=8)
                axis.axhline(0.0, color="grey", linewidth=0.6)
                if place % heads == 0:
                    axis.set_ylabel(f"adds to {self.of}")
                if place // heads == layers - 1:
                    axis.set_xlabel("attention weight")
            colours = {name: COLOURS[self.kinds.index(name) % len(COLOURS)] for name in self.strength}
            handles = [plt.Line2D([], [], marker="o", lw=1.2, color=c, label=name) for name, c in colours.items()]
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        return figure


@torch.no_grad()
def strength_value(
    model: nn.Module,
    input_ids: Int[Tensor, "batch pos"],
    predicting: Bool[Tensor, "batch pos"],
    kind: Int[Tensor, "batch pos"],
    kinds: Sequence[str],
    *,
    token: int,
    against: int | None = None,
    of: str = "the logit",
) -> StrengthValue:
    """Split a token's logit at the predicting positions of some trials into what each token they see adds to it.

    Args:
        model: a trained `TransformerLM`.
        input_ids: trials, padded on the right; on the model's device.
        predicting: the positions whose predictions are split.
        kind: what each token is, as an index into `kinds`.
        kinds: the names.
        token: whose logit is split.
        against: split the difference of the logit from that of this token instead.
        of: what the figure calls the logit.

    Raises:
        ModelMismatchError: the model is no `TransformerLM`.
        InvalidArgumentError: a token is not in the vocabulary, or no position predicts.
    """
    lm = _checked(model, predicting, token, against)
    logits, recorded = lm.bridge.run_with_cache(input_ids)
    cache = dict(recorded.items())
    weights = {name: value.float() for name, value in lm.state_dict().items()}
    unembed, bias = weights["unembed.weight"], weights["unembed.bias"]
    read = unembed[token] - (0 if against is None else unembed[against])
    wanted = logits[..., token] - (0 if against is None else logits[..., against])
    trial, at = predicting.nonzero().T
    direction, constant = _folded(lm, weights, read, cache)
    constant = constant + bias[token] - (0 if against is None else bias[against])
    weight, moved, terms = _terms(lm, weights, cache, direction[trial, at], trial, at)
    terms["constant"] = constant.expand(len(at))
    total = torch.stack([*terms.values(), moved.sum((0, 1, 3))]).sum(0)
    seen = torch.arange(input_ids.shape[1], device=input_ids.device) <= at[:, None]
    weight, contribution, of_item = weight[:, :, seen], moved[:, :, seen], kind[trial][seen]
    here = {name: of_item == i for i, name in enumerate(kinds) if bool((of_item == i).any())}
    summed = contribution.sum((0, 1))
    return StrengthValue(
        strength={name: _slope(weight[..., rows], contribution[..., rows]) for name, rows in here.items()},
        pushes={name: summed[rows].mean().item() for name, rows in here.items()},
        rest={name: value.mean().item() for name, value in terms.items()},
        error=(total - wanted[trial, at]).abs().max().item(),
        kinds=tuple(kinds),
        weight=weight,
        contribution=contribution,
        kind=of_item,
        of=of,
    )


def _checked(model: nn.Module, predicting: Tensor, token: int, against: int | None) -> TransformerLM:
    if not isinstance(model, TransformerLM):
        raise ModelMismatchError(f"model of type {type(model).__name__} is not allowed: it must be a TransformerLM")
    for name, value in (("token", token), ("against", against)):
        if value is not None:
            check_between(name, value, 0, model.config.vocab_size - 1, why="the vocabulary")
    if not bool(predicting.any()):
        raise InvalidArgumentError("predicting holds no position, which is not allowed: there is no logit to split")
    return model


def _slope(a: Float[Tensor, "layer head item"], c: Float[Tensor, "layer head item"]) -> Float[Tensor, "layer head"]:
    return (a * c).sum(-1) / a.square().sum(-1).clamp_min(1e-12)


def _terms(
    model: TransformerLM,
    weights: Mapping[str, Tensor],
    cache: Mapping[str, Tensor],
    direction: Float[Tensor, "query hidden"],
    trial: Int[Tensor, "query"],
    at: Int[Tensor, "query"],
) -> tuple[Float[Tensor, "layer head query pos"], Float[Tensor, "layer head query pos"], dict[str, Tensor]]:
    """Attention weights, what each head moves by them along a direction, and what else adds along it."""
    heads, width = model.config.num_heads, model.config.hidden_size
    embedding = (cache["blocks.0.hook_in"][trial, at] * direction).sum(-1)
    terms = {"embedding": embedding, "attention bias": torch.zeros_like(embedding), "mlp": torch.zeros_like(embedding)}
    weight, moved = [], []
    for layer in range(model.config.num_layers):
        block = f"blocks.{layer}"
        onto = rearrange(direction @ weights[f"{block}.attn.o.weight"], "out (head size) -> out head size", head=heads)
        values = cache[f"{block}.attn.v.hook_out"].flatten(2).unflatten(-1, (heads, width // heads))
        attention = cache[f"{block}.attn.hook_pattern"][trial, :, at]
        added = attention * torch.einsum("qjhd,qhd->qhj", values[trial], onto)
        weight.append(attention.transpose(0, 1))
        moved.append(added.transpose(0, 1))
        terms["attention bias"] = terms["attention bias"] + direction @ weights[f"{block}.attn.o.bias"]
        terms["mlp"] = terms["mlp"] + (cache[f"{block}.mlp.hook_out"][trial, at] * direction).sum(-1)
    return torch.stack(weight), torch.stack(moved), terms


def _folded(
    model: TransformerLM, weights: Mapping[str, Tensor], read: Float[Tensor, "hidden"], cache: Mapping[str, Tensor]
) -> tuple[Float[Tensor, "batch pos hidden"], Tensor]:
    """The direction in the residual stream at each position that the final norm turns into `read`, and a constant."""
    last = cache[f"blocks.{model.config.num_layers - 1}.hook_out"]
    if model.config.norm == "none":
        return read.expand_as(last), read.new_zeros(())
    direction = weights["ln_final.weight"] * read / cache["ln_final.hook_scale"]
    if model.config.norm == "rms":
        return direction, read.new_zeros(())
    return direction - direction.mean(-1, keepdim=True), weights["ln_final.bias"] @ read
