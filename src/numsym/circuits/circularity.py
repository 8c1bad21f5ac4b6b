"""Circularity: do the token embeddings lie on circles ([P] section 4.2)?"""

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.circuits.adder import Adder, ModularModel, as_adder, check_prime
from numsym.errors import InvalidArgumentError


def circularity(model: Adder | ModularModel, *, components: int = 4) -> float:
    """How well single frequencies describe the first principal components of the embeddings ([P] section 4.2).

    For each component, as a unit vector v over the tokens: the largest over k of
    (2/p) |sum over t of v[t k mod p] exp(2 pi i t / p)|^2; the mean over components.
    For a prime p this is the largest power of v at one frequency, doubled: every k only reorders the frequencies.

    Args:
        model: a modular adder; with separate vocabularies, both operands count together.
        components: how many principal components.

    Returns:
        A number in 0..1; 1 where each component is a cosine.

    Raises:
        InvalidArgumentError: p is not an odd prime, or `components` is not in 1..p - 1.
    """
    adder = as_adder(model)
    check_prime(adder.p, "circularity")
    if not 1 <= components < adder.p:
        raise InvalidArgumentError(f"components={components!r} is not allowed: it must lie in 1..{adder.p - 1}")
    scores, _, _ = principal_components(adder.joint_embeddings())
    return frequency_shares(scores[:, :components]).amax(0).mean().item()


def principal_components(
    embeddings: Float[Tensor, "p hidden"],
) -> tuple[Float[Tensor, "p rank"], Float[Tensor, "rank"], Float[Tensor, "rank hidden"]]:
    """Unit scores over the tokens, singular values and directions of the centred embeddings, in float64."""
    embeddings = embeddings.double()
    scores, sizes, directions = torch.linalg.svd(embeddings - embeddings.mean(0), full_matrices=False)
    return scores, sizes, directions


def frequency_shares(vectors: Float[Tensor, "p n"]) -> Float[Tensor, "frequency n"]:
    """The share of each vector's squared length at the frequencies 1..(p-1)/2, in 0..1; row k - 1 is frequency k.

    For an odd p and a vector without mean the shares add up to 1.
    """
    p = vectors.shape[0]
    power = torch.fft.rfft(vectors, dim=0).abs().square()[1 : (p - 1) // 2 + 1]
    length = vectors.square().sum(0).clamp_min(torch.finfo(vectors.dtype).tiny)
    return (2 / p * power / length).clamp(0, 1)
