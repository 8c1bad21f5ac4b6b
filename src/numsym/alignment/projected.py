"""What a start says, as parameters of each alignment function: the map of its kind that is nearest to a projection.

A start is a projection P = U (V^T U)^-1 V^T for each block (`numsym.alignment.starts`). A low-rank map is it. A
rotation takes the directions V. A LAF cannot be every projection, so it is fitted: over its M, the least mean squared
difference of the exchanged states, E |(s - h) (P_M - P)|^2. That takes gradient steps on matrices of the site's width,
and none through the model.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from numsym._pyvene import pv
from numsym.alignment.starts import Projection, Seen
from numsym.interventions.linear import definite
from numsym.interventions.mask import START

Parameters = dict[str, Tensor]

STRETCH = 10.0
"""The largest singular value of a fitted M: M M^T + l I then has a condition number of 1e3."""

ITERATIONS, EFFORT = 300, 10_000
"""Of L-BFGS, at most; and at most so many over the width, each of which takes its cube."""


def low_rank(intervention: pv.Intervention, projection: Projection, seen: Seen) -> Parameters:
    """U and V themselves."""
    return {"columns": projection[0], "rows": projection[1]}


def orthogonal(intervention: pv.Intervention, projection: Projection, seen: Seen) -> Parameters:
    """The rotation whose first coordinates are V's directions, as the base point of torch's parametrisation."""
    base = torch.linalg.qr(projection[1], mode="complete").Q
    name = "rotate_layer.parametrizations.weight"
    return {f"{name}.original": torch.zeros_like(base), f"{name}.0.base": base}


def linear(intervention: pv.Intervention, projection: Projection, seen: Seen) -> Parameters:
    """The M whose exchanges are nearest to the projection's, on the differences of the pairs."""
    std = intervention.std.to(seen.base)
    moved = (seen.source - seen.base) / std
    wanted = _by_block(projection[0] * std[:, None], projection[1] / std[:, None], len(seen.blocks))
    k = projection[0].shape[1] // len(seen.blocks)
    return {"matrix": _nearest(wanted, k, moved.mT @ moved / len(moved))}


def boundless(intervention: pv.Intervention, projection: Projection, seen: Seen) -> Parameters:
    """The LAF's M, and the boundary after the projection's coordinates."""
    boundary = torch.tensor([projection[0].shape[1] / intervention.width], device=seen.base.device)
    return {**linear(intervention, projection, seen), "intervention_boundaries": boundary}


def mask(intervention: pv.Intervention, projection: Projection, seen: Seen) -> Parameters:
    """Logits that take the neurons in which the projection changes the states most, as many as it has coordinates."""
    columns, rows = projection
    written = (seen.source - seen.base) @ columns @ torch.linalg.solve(rows.mT @ columns, rows.mT)
    inside = written.square().mean(0).topk(columns.shape[1]).indices
    logits = torch.full_like(written[0], -START)
    logits[inside] = START
    return {"logits": logits}


def _by_block(
    columns: Float[Tensor, "hidden feature"], rows: Float[Tensor, "hidden feature"], blocks: int
) -> Float[Tensor, "block hidden hidden"]:
    """The projection of each block, along the other blocks."""
    inverse = torch.linalg.solve(rows.mT @ columns, rows.mT)
    return torch.stack([u @ w for u, w in zip(columns.chunk(blocks, 1), inverse.chunk(blocks, 0), strict=True)])


def _nearest(
    wanted: Float[Tensor, "block hidden hidden"], k: int, moved: Float[Tensor, "hidden hidden"]
) -> Float[Tensor, "hidden hidden"]:
    """The M whose exchanges of its first coordinates, `k` a block, differ least from those wanted."""
    from scipy.optimize import minimize

    width, device = len(moved), moved.device
    if not moved.any():  # bases and sources are alike, as at an embedding that all share: no M is nearer than another
        return torch.eye(width, dtype=moved.dtype, device=device)
    # On the CPU also where the model is not: each of many small steps would wait for the device.
    wanted, moved = wanted.cpu(), moved.cpu() * (width / moved.trace().cpu())
    chosen = torch.zeros(len(wanted), 1, width, dtype=moved.dtype)
    for block in range(len(wanted)):
        chosen[block, :, block * k : (block + 1) * k] = 1

    def difference(flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = _difference(torch.from_numpy(flat).view(width, width), chosen, wanted, moved)
        return float(loss), gradient.flatten().numpy()

    options = {"maxiter": min(ITERATIONS, EFFORT // width + 1), "maxcor": 20}
    fitted = minimize(difference, np.eye(width).flatten(), method="L-BFGS-B", jac=True, options=options)
    return _bounded(torch.from_numpy(fitted.x).view(width, width).to(device))


def _difference(
    matrix: Float[Tensor, "hidden hidden"],
    chosen: Float[Tensor, "block 1 hidden"],
    wanted: Float[Tensor, "block hidden hidden"],
    moved: Float[Tensor, "hidden hidden"],
) -> tuple[Float[Tensor, ""], Float[Tensor, "hidden hidden"]]:
    """How far the exchanges B = F C F^-1 of an M, with F = M M^T + l I, are from those wanted, and its gradient.

    With G the gradient at B, that at F is G F^-1 C - B^T G F^-1, summed over the blocks.
    """
    forward = definite(matrix)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(forward))
    exchanges = (forward * chosen) @ inverse
    off = exchanges - wanted
    weighted = moved @ off
    left = 2 * weighted @ inverse
    slope = (left * chosen - exchanges.mT @ left).sum(0)
    return (off * weighted).sum(), (slope + slope.mT) @ matrix


def _bounded(matrix: Float[Tensor, "hidden hidden"]) -> Float[Tensor, "hidden hidden"]:
    """The same with no singular value above `STRETCH`.

    Along directions in which the states hardly differ the fit is free, and may end with M M^T + l I so steep that a map
    in float32 has no inverse.
    """
    left, values, right = torch.linalg.svd(matrix)
    return (left * values.clamp(max=STRETCH)) @ right
