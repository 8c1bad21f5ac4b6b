"""The features of every fold of a cross-validation, standardised on its training rows and turned to shared axes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """The features of every fold, standardised on its training rows and turned to principal axes.

    A rotation changes neither the penalty nor the minimum. It makes the Hessian at zero weights (nearly) diagonal.
    With more training rows than features, all folds share the axes of all rows, so that what is found for all rows is
    a start for each fold. With fewer, the axes are those that a fold's own training rows span (the minimiser has no
    part outside of them).

    Attributes:
        folds: of every fold and row; a last axis of ones is for the intercept.
        lengths: the squared length of each axis over the training rows.
        training: which rows each fold trains on.
        whole: the same with all rows for training, where the axes are shared.
    """

    folds: Float[Tensor, "fold number axis"]
    lengths: Float[Tensor, "fold axis"]
    training: Bool[Tensor, "fold number"]
    whole: "Features | None" = None

    @classmethod
    def of(cls, embeddings: Float[Tensor, "number hidden"], training: Bool[Tensor, "fold number"]) -> "Features":
        """From embeddings."""
        every = torch.ones_like(training[:1])
        if embeddings.shape[1] >= int(training.sum(dim=1).min()):
            return cls._of([_spanned(_standard(embeddings, rows), rows) for rows in training], training)
        standard = _standard(embeddings, every[0])
        axes = torch.linalg.eigh(standard.mT @ standard).eigenvectors
        whole = cls._of([standard @ axes], every)
        return cls._of([_standard(embeddings, rows) @ axes for rows in training], training, whole)

    @classmethod
    def _of(
        cls, turned: list[Tensor], training: Bool[Tensor, "fold number"], whole: "Features | None" = None
    ) -> "Features":
        # Folds differ by one row at most; axes come shortest first, and the surplus one is null.
        width = min(part.shape[1] for part in turned)
        folds = torch.stack([torch.nn.functional.pad(part[:, -width:], (0, 1), value=1.0) for part in turned])
        lengths = [rows.to(part.dtype) @ part.square() for rows, part in zip(training, folds, strict=True)]
        return cls(folds, torch.stack(lengths), training, whole)


def _standard(
    embeddings: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]
) -> Float[Tensor, "number hidden"]:
    part = embeddings[rows]
    scale = part.std(dim=0, correction=0)
    # A feature that is constant on the training fold is left unscaled, as scikit-learn does.
    scale = torch.where(scale > 10 * torch.finfo(scale.dtype).eps * part.abs().amax(dim=0), scale, 1.0)
    return (embeddings - part.mean(dim=0)) / scale


def _spanned(standard: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]) -> Float[Tensor, "number axis"]:
    # The Gram matrix squares the condition number: float64 keeps the short axes of a float32 input.
    wide = standard.double()
    lengths, turn = torch.linalg.eigh(wide[rows] @ wide[rows].mT)
    kept = lengths > lengths[-1] * len(lengths) * torch.finfo(lengths.dtype).eps
    inverse = torch.where(kept, lengths, 1.0).rsqrt() * kept
    return ((wide @ wide[rows].mT) @ (turn * inverse)).to(standard.dtype)
