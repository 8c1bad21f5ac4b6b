"""A modular adder as the metrics see it: two tables of token embeddings, and logits computed from embeddings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, ModelMismatchError, check_at_least

LogitsFromEmbeddings = Callable[[Tensor, Tensor], Tensor]
"""From the embeddings of a and b, each (batch, hidden), to the logits of the p answers, (batch, p)."""

PAIRS_AT_ONCE = 4096
"""Pairs (a, b) in one forward pass: all of them at p = 59, bounded memory for larger p."""


@runtime_checkable
class ModularModel(Protocol):
    """What a model offers so that a metric can be called with it; `ModularTransformer` and the linear models do."""

    def operand_embeddings(self) -> tuple[Tensor, Tensor]:
        """The token embeddings of every a and every b, each (p, hidden)."""

    def answer_logits(self, embed_a: Tensor, embed_b: Tensor) -> Tensor:
        """The logits of the p answers, (batch, p), from embeddings (batch, hidden)."""


@dataclass(frozen=True)
class Adder:
    """Anything that maps (a, b) to p logits and whose token embeddings are known.

    Attributes:
        embed_a: (p, hidden) the token embedding of every first operand.
        embed_b: (p, hidden) that of every second operand; the same tensor where the vocabulary is shared.
        logits: from embeddings of a and b, each (batch, hidden), to the logits of the answers, (batch, p).
    """

    embed_a: Float[Tensor, "p hidden"]
    embed_b: Float[Tensor, "p_b hidden_b"]
    logits: LogitsFromEmbeddings

    def __post_init__(self) -> None:
        if self.embed_a.ndim != 2 or self.embed_a.shape != self.embed_b.shape:
            raise ModelMismatchError(
                f"embed_a and embed_b must both be (p, hidden), but they are {tuple(self.embed_a.shape)}"
                f" and {tuple(self.embed_b.shape)}"
            )
        check_at_least("p (the number of embeddings)", self.p, 2)

    @property
    def p(self) -> int:
        """The modulus: the number of operands and of answers."""
        return self.embed_a.shape[0]

    def pairs(self) -> Int[Tensor, "pairs 2"]:
        """All (a, b), a the slower index."""
        values = torch.arange(self.p, device=self.embed_a.device)
        return torch.cartesian_prod(values, values)

    def evaluate(
        self, embed_a: Float[Tensor, "batch hidden"], embed_b: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch p"]:
        """The logits, checked to be one for each of the p answers.

        Raises:
            ModelMismatchError: they are not (batch, p).
        """
        logits = self.logits(embed_a, embed_b)
        if logits.shape != (embed_a.shape[0], self.p):
            raise ModelMismatchError(
                f"logits have shape {tuple(logits.shape)}, but {(embed_a.shape[0], self.p)} is needed:"
                f" one for each of the p={self.p} answers that the embeddings give"
            )
        return logits

    def table(self) -> Float[Tensor, "p p p"]:
        """The logits of every answer c for every pair: entry [a, b, c]. Without gradients."""
        with torch.no_grad():
            parts = [
                self.evaluate(self.embed_a[part[:, 0]], self.embed_b[part[:, 1]])
                for part in self.pairs().split(PAIRS_AT_ONCE)
            ]
        return torch.cat(parts).view(self.p, self.p, self.p)

    def accuracy(self) -> float:
        """The share of all p^2 pairs whose largest logit is the sum modulo p."""
        answers = self.pairs().sum(1) % self.p
        return (self.table().argmax(-1).flatten() == answers).double().mean().item()

    def joint_embeddings(self) -> Float[Tensor, "p both"]:
        """Row t holds the embeddings of a = t and of b = t side by side, so that both share principal components.

        With one vocabulary the components, and their frequencies, are those of the embedding itself.
        """
        return torch.cat([self.embed_a, self.embed_b], 1).detach()

    def with_joint_embeddings(self, joint: Float[Tensor, "p both"]) -> "Adder":
        """The same network reading other embeddings."""
        embed_a, embed_b = joint.to(self.embed_a.dtype).chunk(2, 1)
        return replace(self, embed_a=embed_a, embed_b=embed_b)

    @classmethod
    def from_module(
        cls,
        model: nn.Module,
        *,
        embedding: nn.Module,
        prompt: Int[Tensor, "pos"],
        operands: tuple[int, int],
        tokens_a: Int[Tensor, "p"],
        tokens_b: Int[Tensor, "p"],
        answers: Int[Tensor, "p"],
    ) -> "Adder":
        """An adder from any module that maps token ids to logits, such as a language model; it is left as it is.

        Args:
            model: called with `input_ids` (batch, pos); gives logits (batch, pos, vocab), or an output that has them.
            embedding: the submodule whose output is the token embeddings (batch, pos, hidden).
            prompt: (pos,) token ids; those at `operands` are replaced.
            operands: the positions of a and b in the prompt.
            tokens_a: (p,) the token of every a.
            tokens_b: (p,) the token of every b.
            answers: (p,) the token of every answer, read at the last position.

        Raises:
            InvalidArgumentError: the positions are outside the prompt or the same.
            ModelMismatchError: a token is not in the vocabulary of `embedding`.
        """
        a_at, b_at = operands
        if a_at == b_at or not all(0 <= at < len(prompt) for at in operands):
            raise InvalidArgumentError(
                f"operands={operands!r} is not allowed: two different positions of the prompt, 0..{len(prompt) - 1}"
            )
        for name, tokens in (("tokens_a", tokens_a), ("tokens_b", tokens_b)):
            size = getattr(embedding, "num_embeddings", None)
            if size is not None and not (int(tokens.min()) >= 0 and int(tokens.max()) < size):
                raise ModelMismatchError(f"{name} reaches token {int(tokens.max())}, but the vocabulary has {size}")

        def logits(embed_a: Tensor, embed_b: Tensor) -> Tensor:
            def put(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
                columns = list(output.unbind(1))
                columns[a_at], columns[b_at] = embed_a.to(output), embed_b.to(output)
                return torch.stack(columns, 1)

            handle = embedding.register_forward_hook(put)
            try:
                output = model(prompt.expand(embed_a.shape[0], -1))
            finally:
                handle.remove()
            return getattr(output, "logits", output)[:, -1, answers]

        with torch.no_grad():
            return cls(embedding(tokens_a), embedding(tokens_b), logits)


def as_adder(model: Any) -> Adder:
    """The adder of a model; an `Adder` stays as it is.

    Raises:
        InvalidArgumentError: the model offers neither, with what to do instead.
    """
    if isinstance(model, Adder):
        return model
    if not isinstance(model, ModularModel):
        raise InvalidArgumentError(
            f"model of type {type(model).__name__} is not a modular adder: give it operand_embeddings() and"
            " answer_logits(embed_a, embed_b), or wrap it in Adder(embed_a, embed_b, logits) or Adder.from_module(...)"
        )
    embed_a, embed_b = model.operand_embeddings()
    return Adder(embed_a, embed_b, model.answer_logits)


def check_odd(p: int, metric: str) -> None:
    """Raise `InvalidArgumentError` for an even p: (a + b, a - b) modulo p then meets only half of all cells."""
    if p % 2 == 0:
        raise InvalidArgumentError(f"p={p} is not allowed: {metric} needs an odd p")


def check_prime(p: int, metric: str) -> None:
    """Raise `InvalidArgumentError` unless p is an odd prime: every frequency then visits all p tokens."""
    if p < 3 or any(p % divisor == 0 for divisor in range(2, int(p**0.5) + 1)):
        raise InvalidArgumentError(f"p={p} is not allowed: {metric} needs an odd prime")
