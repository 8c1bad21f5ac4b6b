"""Attention as counting: what each token adds to the end's logit, against the attention it gets ([N], strength-value).

A transformer that runs Ctx-Distr gives every token a value, +1 or -1, which attention sums. Seen from the logit of the
end token, demonstration tokens then push it down, response tokens up, each in proportion to its attention weight and
with about the same strength.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym.models import TransformerLM
from numsym.tasks import Batch
from numsym.tasks.counting import CountingTask

KINDS = ("demonstration", "response", "trigger", "begin", "void")
"""What a token is; a token of Same-Object is a response after the trigger."""


@dataclass(frozen=True)
class StrengthValue:
    """Attention weights and contributions, one entry (`item`) a pair of a predicting position and a token it sees.

    Attributes:
        weight: (layer, head, item) attention weights a.
        contribution: (layer, head, item) c = a (v W_O) . u, in logits: what this head moves from the token straight to
            the logit. u is the unembedding's direction with the final norm's scale at the predicting position folded
            in; what later layers make of it is in their own contributions. So all contributions and the terms of
            `rest` sum to the logit exactly.
        kind: (item,) index into `KINDS`.
        rest: mean over predicting positions of the other terms: "embedding", "attention bias", "mlp", "constant".
        error: the largest difference between the sum of all terms and the logit, over predicting positions.
    """

    weight: Float[Tensor, "layer head item"]
    contribution: Float[Tensor, "layer head item"]
    kind: Int[Tensor, "item"]
    rest: dict[str, float]
    error: float

    def strength(self) -> dict[str, Float[Tensor, "layer head"]]:
        """Kind -> slope of contribution on weight through the origin, sum(a c) / sum(a^2); kinds that occur."""
        slopes = {}
        for index, name in enumerate(KINDS):
            rows = self.kind == index
            if rows.any():
                a, c = self.weight[..., rows], self.contribution[..., rows]
                slopes[name] = (a * c).sum(-1) / a.square().sum(-1).clamp_min(1e-12)
        return slopes

    def pushes(self) -> dict[str, float]:
        """Kind -> mean contribution of one such token, summed over layers and heads, in logits."""
        total = self.contribution.sum((0, 1))
        return {
            name: total[self.kind == index].mean().item()
            for index, name in enumerate(KINDS)
            if bool((self.kind == index).any())
        }


@torch.no_grad()
def strength_value(model: TransformerLM, task: CountingTask, batch: Batch, *, margin: bool = False) -> StrengthValue:
    """Split the logit of the end at every predicting position of some trials into what each token adds to it.

    Args:
        model: a trained transformer.
        task: of the trials.
        batch: trials, padded on the right; on the model's device.
        margin: split the end's logit minus the response token's, which decides between the two, instead.
    """
    ids, v = batch.input_ids[:, :-1], task.vocabulary
    logits, recorded = model.bridge.run_with_cache(ids)
    cache = dict(recorded.items())
    weights = {name: value.float() for name, value in model.state_dict().items()}
    read = weights["unembed.weight"][v.eos] - (weights["unembed.weight"][v.response] if margin else 0)
    wanted = logits[..., v.eos] - (logits[..., v.response] if margin else 0)
    trial, at = batch.predictable[:, 1:].nonzero().T
    direction, constant = _folded(model, weights, read, cache)
    direction = direction[trial, at]
    bias = weights["unembed.bias"]
    constant = constant + bias[v.eos] - (bias[v.response] if margin else 0)
    layers, heads, width = model.config.num_layers, model.config.num_heads, model.config.hidden_size
    terms = {"embedding": (cache["blocks.0.hook_in"][trial, at] * direction).sum(-1)}
    terms |= {"attention bias": torch.zeros_like(terms["embedding"]), "mlp": torch.zeros_like(terms["embedding"])}
    seen = torch.arange(ids.shape[1], device=ids.device) <= at[:, None]
    weight, contribution = [], []
    for layer in range(layers):
        block = f"blocks.{layer}"
        onto = (direction @ weights[f"{block}.attn.o.weight"]).view(-1, heads, width // heads)
        values = cache[f"{block}.attn.v.hook_out"].view(*ids.shape, heads, -1)[trial]
        attention = cache[f"{block}.attn.hook_pattern"][trial, :, at]
        moved = attention * torch.einsum("qjhd,qhd->qhj", values, onto)
        weight.append(attention.transpose(0, 1)[:, seen])
        contribution.append(moved.transpose(0, 1)[:, seen])
        terms["attention bias"] = terms["attention bias"] + direction @ weights[f"{block}.attn.o.bias"]
        terms["mlp"] = terms["mlp"] + (cache[f"{block}.mlp.hook_out"][trial, at] * direction).sum(-1)
        terms[f"heads {layer}"] = moved.sum((1, 2))
    terms["constant"] = constant.expand(len(at))
    total = torch.stack(list(terms.values())).sum(0)
    rest = {name: value.mean().item() for name, value in terms.items() if not name.startswith("heads")}
    kind = kinds(task, batch)[:, :-1][trial][seen]
    error = (total - wanted[trial, at]).abs().max().item()
    return StrengthValue(torch.stack(weight), torch.stack(contribution), kind, rest, error)


def kinds(task: CountingTask, batch: Batch) -> Int[Tensor, "batch pos"]:
    """What each token is, as an index into `KINDS`; padding and the end, which no prediction sees, count as void."""
    value, v = task.trace("ctx_distr", batch).states["value"], task.vocabulary
    kind = torch.full_like(value, KINDS.index("void"))
    kind[batch.input_ids == v.trigger] = KINDS.index("trigger")
    kind[batch.input_ids == v.bos] = KINDS.index("begin")
    kind[value == 1] = KINDS.index("demonstration")
    kind[value == -1] = KINDS.index("response")
    return kind


def _folded(
    model: TransformerLM, weights: dict[str, Tensor], read: Float[Tensor, "hidden"], cache: Mapping[str, Tensor]
) -> tuple[Float[Tensor, "batch pos hidden"], Tensor]:
    """The direction in the residual stream at each position that the final norm turns into `read`, and a constant."""
    last = cache[f"blocks.{model.config.num_layers - 1}.hook_out"]
    if model.config.norm == "none":
        return read.expand_as(last), read.new_zeros(())
    direction = weights["ln_final.weight"] * read / cache["ln_final.hook_scale"]
    if model.config.norm == "rms":
        return direction, read.new_zeros(())
    return direction - direction.mean(-1, keepdim=True), weights["ln_final.bias"] @ read
