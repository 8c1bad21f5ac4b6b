"""The features of every fold of a cross-validation, standardised on its training rows and turned to shared axes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ALIKE = 0.25
"""Folds share their features where none of their squared scales is farther than this from that of all rows."""


@dataclass(frozen=True)
class Scales:
    """How the penalty of each fold differs from that of the axes that all folds share.

    Weights on shared features count in a fold as those on features that the fold itself has standardised: the squared
    weight of a feature times `1 + excess`.

    Attributes:
        axes: the shared axes, a column each.
        excess: of the squared scale of each feature on a fold's training rows over that on all rows.
        most: the largest of a fold, in size: how much of a step the gradient can miss that does not know of it.
    """

    axes: Float[Tensor, "hidden axis"]
    excess: Float[Tensor, "fold hidden"]
    most: Float[Tensor, " fold"]

    def gradient(self, point: Float[Tensor, "fold column axis"]) -> Float[Tensor, "fold column axis"]:
        """What the gradient of half the penalty has besides the weights themselves."""
        width = self.axes.shape[1]
        weights = point[:, :, :width] @ self.axes.mT
        found = (weights * self.excess[:, None]) @ self.axes
        return torch.nn.functional.pad(found, (0, point.shape[2] - width))


@dataclass(frozen=True)
class Features:
    """The features of every fold, standardised on its training rows and turned to principal axes.

    A rotation changes neither the penalty nor the minimum. It makes the Hessian at zero weights (nearly) diagonal.
    With more training rows than features, all folds share the axes of all rows, so that what is found for all rows is
    a start for each fold; and where the folds' scales are much alike, they share the features too, standardised on all
    rows: one product of matrices then serves all folds, and `scales` says what that leaves out. Which mean a fold
    subtracts is the intercept's to say. With fewer rows than features, the axes are those that a fold's own training
    rows span (the minimiser has no part outside of them).

    Attributes:
        rows: of every fold and row, or of every row where the folds share them; a last axis of ones is for the
            intercept, and some of zeros before it for speed.
        lengths: the squared length of each axis over the training rows.
        training: which rows each fold trains on.
        whole: the same with all rows for training, where the axes are shared.
        scales: of the folds that share their features.
    """

    rows: Float[Tensor, "*fold number axis"]
    lengths: Float[Tensor, "fold axis"]
    training: Bool[Tensor, "fold number"]
    whole: "Features | None" = None
    scales: Scales | None = None

    @classmethod
    def of(cls, embeddings: Float[Tensor, "number hidden"], training: Bool[Tensor, "fold number"]) -> "Features":
        """From embeddings."""
        if embeddings.shape[1] >= int(training.sum(dim=1).min()):
            return cls._of([_spanned(_standard(embeddings, rows), rows) for rows in training], training)
        every = torch.ones_like(training[:1])
        standard = _standard(embeddings, every[0])
        axes = torch.linalg.eigh(standard.mT @ standard).eigenvectors
        shared = _with_ones(standard @ axes)
        whole = cls(shared, _lengths(shared, every), every)
        excess = _squared_scales(standard, training) - 1
        most = excess.abs().amax(dim=1)
        if float(most.max()) > ALIKE:
            return cls._of([_standard(embeddings, rows) @ axes for rows in training], training, whole)
        return cls(shared, _lengths(shared, training), training, whole, Scales(axes, excess, most))

    @classmethod
    def _of(
        cls, turned: list[Tensor], training: Bool[Tensor, "fold number"], whole: "Features | None" = None
    ) -> "Features":
        # Folds differ by one row at most; axes come shortest first, and the surplus one is null.
        width = min(part.shape[1] for part in turned)
        folds = torch.stack([_with_ones(part[:, -width:]) for part in turned])
        lengths = [_lengths(part, rows[None])[0] for rows, part in zip(training, folds, strict=True)]
        return cls(folds, torch.stack(lengths), training, whole)


def _with_ones(turned: Float[Tensor, "number turned"]) -> Float[Tensor, "number axis"]:
    # Products of matrices are up to a quarter faster where all rows begin at a multiple of 16.
    even = torch.nn.functional.pad(turned, (0, -(turned.shape[1] + 1) % 16))
    return torch.nn.functional.pad(even, (0, 1), value=1.0)


def _lengths(turned: Float[Tensor, "number axis"], training: Bool[Tensor, "fold number"]) -> Float[Tensor, "fold axis"]:
    return training.to(turned.dtype) @ turned.square()


def _standard(
    embeddings: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]
) -> Float[Tensor, "number hidden"]:
    part = embeddings[rows]
    scale = part.std(dim=0, correction=0)
    # A feature that is constant on the training fold is left unscaled, as scikit-learn does.
    scale = torch.where(scale > 10 * torch.finfo(scale.dtype).eps * part.abs().amax(dim=0), scale, 1.0)
    return (embeddings - part.mean(dim=0)) / scale


def _squared_scales(
    standard: Float[Tensor, "number hidden"], training: Bool[Tensor, "fold number"]
) -> Float[Tensor, "fold hidden"]:
    """Of features that are standardised on all rows, on each fold's training rows; 1 of one that is constant."""
    shares = training.to(standard.dtype)
    shares = shares / shares.sum(dim=1, keepdim=True)
    found = shares @ standard.square() - (shares @ standard).square()
    return torch.where(standard.square().mean(dim=0) > 0.5, found, 1.0)


def _spanned(standard: Float[Tensor, "number hidden"], rows: Bool[Tensor, " number"]) -> Float[Tensor, "number axis"]:
    # The Gram matrix squares the condition number: float64 keeps the short axes of a float32 input.
    wide = standard.double()
    lengths, turn = torch.linalg.eigh(wide[rows] @ wide[rows].mT)
    kept = lengths > lengths[-1] * len(lengths) * torch.finfo(lengths.dtype).eps
    inverse = torch.where(kept, lengths, 1.0).rsqrt() * kept
    return ((wide @ wide[rows].mT) @ (turn * inverse)).to(standard.dtype)
