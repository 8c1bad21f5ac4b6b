"""Where a search begins: exchanges that are read from the states of the training pairs, without a gradient step.

An exchange of k coordinates is h' = h + (s - h) P with P = U (V^T U)^-1 V^T, for U and V of d x k: U reads, V writes.
Both can be had from the states and from the values that the program's variables have there:

- *means*: V = the principal directions in which the mean state moves with the exchanged variable while all others are
  held; U = (S + r I)^-1 V with S the covariance of the states about the variable's own means (a linear discriminant).
- *means, U = V*: the orthogonal projection on the same directions.
- *regression*: what *should* result is known on average: the mean state m of the counterfactual's values. Reduced-rank
  least squares of m - h on s - h gives U and V. It minimises, over linear maps of rank k, the squared part of the
  counterfactual latent loss of Grant, Han, Tartaglini, Potts (2026, arXiv 2511.04638) against such means.
- *regression, U = V*: the same over orthogonal projections: the leading eigenvectors of C + C^T - D, with
  C = E (s - h)^T (m - h) and D = E (s - h)^T (s - h).

No one of them is best everywhere, so a search compares them on validation pairs. What a start says becomes parameters
of an alignment function by that function's own rule (`numsym.alignment.functions`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numsym.alignment.dictionary import Dictionary

RIDGES = (1e-3, 1e-1)
"""The r of the linear discriminant, as a share of the mean variance."""

REGRESSION_RIDGES = (1e-4, 1e-2)
"""The same of the regression."""

STEEPEST = 1e-3
"""The least cosine between what U reads and what V writes: one over it is how much a difference may be blown up."""

Projection = tuple[Float[Tensor, "hidden feature"], Float[Tensor, "hidden feature"]]
"""U and V, block after block; the columns of each block are orthonormal."""


@dataclass(frozen=True)
class Seen:
    """What interchange pairs show where they meet, on one device.

    Attributes:
        base, source: (pairs, hidden) float64, the states at the site.
        base_values, source_values: (pairs, var) the program's variables there.
        wanted: (pairs, var) the same after the exchange: the counterfactual's.
        block: (pairs,) which of `blocks` each pair exchanges.
        blocks: for each, the columns of the variables that it exchanges.
        names: of the columns.
        condition: (both,) for a conditional function, in which condition each base and then each source is; `None`
            where that is to be found.
        dictionary: the one whose features are exchanged, for a function that needs it.
    """

    base: Float[Tensor, "pairs hidden"]
    source: Float[Tensor, "pairs hidden"]
    base_values: Int[Tensor, "pairs var"]
    source_values: Int[Tensor, "pairs var"]
    wanted: Int[Tensor, "pairs var"]
    block: Int[Tensor, "pairs"]
    blocks: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    condition: Int[Tensor, "both"] | None = None
    dictionary: Dictionary | None = None

    @property
    def states(self) -> Float[Tensor, "both hidden"]:
        """Of bases and sources."""
        return torch.cat([self.base, self.source])

    @property
    def values(self) -> Int[Tensor, "both var"]:
        """Of bases and sources."""
        return torch.cat([self.base_values, self.source_values])

    def others(self, block: int) -> list[int]:
        """The columns that a block leaves."""
        return [column for column in range(len(self.names)) if column not in self.blocks[block]]


def projections(seen: Seen, k: int) -> dict[str, Projection]:
    """All starts by name, with `k` coordinates for each block."""
    found = [_of_block(seen, block, k) for block in range(len(seen.blocks))]
    made: dict[str, Projection] = {}
    for name in found[0]:
        if all(name in one for one in found):
            columns, rows = (torch.cat([one[name][side] for one in found], 1) for side in (0, 1))
            if float(torch.linalg.svdvals(rows.mT @ columns).min()) > STEEPEST:
                made[name] = columns, rows
    return made


def _of_block(seen: Seen, block: int, k: int) -> dict[str, Projection]:
    directions = moving_directions(seen, block, k)
    made = {f"means, ridge {ridge:g}": (discriminant(seen, block, directions, ridge), directions) for ridge in RIDGES}
    made["means, U = V"] = (directions, directions)
    counterfactual = _Regression.of(seen, block)
    if counterfactual is not None:
        made |= {f"regression, ridge {r:g}": counterfactual.oblique(k, r) for r in REGRESSION_RIDGES}
        made["regression, U = V"] = counterfactual.orthogonal(k)
    return {name: (_orthonormal(columns), _orthonormal(rows)) for name, (columns, rows) in made.items()}


def moving_directions(seen: Seen, block: int, k: int) -> Float[Tensor, "hidden k"]:
    """The principal directions of the mean states' moves with the block's value, all other variables held.

    Where the means span fewer than `k`, those directions follow in which the states vary least: an exchange along them
    changes least.
    """
    states, values = seen.states, seen.values
    held = classes(values[:, seen.others(block)])
    both = classes(values)
    means, counts = class_means(states, both)
    within, _ = class_means(states, held)
    first = torch.zeros(len(counts), dtype=torch.long, device=states.device).scatter(0, both, held)
    moves = (means - within[first]) * counts.sqrt()[:, None]
    return filled(moves, states, k)


def filled(moves: Float[Tensor, "n hidden"], states: Float[Tensor, "both hidden"], k: int) -> Float[Tensor, "hidden k"]:
    """The first `k` principal directions of some vectors, then those in which the states vary least."""
    spread, directions = torch.linalg.svd(moves, full_matrices=False)[1:]
    rank = int((spread > 1e-9 * spread.amax().clamp(min=1e-300)).sum())
    directions = directions[: min(k, rank)].mT
    if directions.shape[1] < k:
        rest = states - states.mean(0)
        rest = rest - rest @ directions @ directions.mT
        covariance = rest.mT @ rest / len(rest)
        # What is found already has no variance left: it must not come first.
        covariance = covariance + covariance.trace() * (directions @ directions.mT)
        least = torch.linalg.eigh(covariance).eigenvectors[:, : k - directions.shape[1]]
        directions = torch.cat([directions, least], 1)
    return directions


def discriminant(
    seen: Seen, block: int, directions: Float[Tensor, "hidden k"], ridge: float
) -> Float[Tensor, "hidden k"]:
    """(S + r I)^-1 of some directions, S the covariance about the means of the block's values, r times its mean."""
    states = seen.states
    own = classes(seen.values[:, list(seen.blocks[block])])
    rest = states - class_means(states, own)[0][own]
    covariance = rest.mT @ rest / len(rest)
    return torch.linalg.solve(damped(covariance, ridge), directions)


@dataclass(frozen=True)
class _Regression:
    """The pairs of one block whose counterfactual has a mean state.

    Attributes:
        moved: (rows, hidden) s - h.
        target: (rows, hidden) m - h.
    """

    moved: Float[Tensor, "rows hidden"]
    target: Float[Tensor, "rows hidden"]

    @classmethod
    def of(cls, seen: Seen, block: int) -> "_Regression | None":
        """None where no pair's counterfactual has been seen."""
        mean, known = natural_means(seen)
        rows = known & (seen.block == block)
        if not bool(rows.any()):
            return None
        return cls((seen.source - seen.base)[rows], (mean - seen.base)[rows])

    def oblique(self, k: int, ridge: float) -> Projection:
        """U and V of the best exchange of rank k."""
        gram = self.moved.mT @ self.moved
        full = torch.linalg.solve(damped(gram, ridge), self.moved.mT @ self.target)
        rows = torch.linalg.eigh(full.mT @ gram @ full).eigenvectors[:, -k:].flip(1)
        return full @ rows, rows

    def orthogonal(self, k: int) -> Projection:
        """The same where U is V."""
        cross = self.moved.mT @ self.target
        rows = torch.linalg.eigh(cross + cross.mT - self.moved.mT @ self.moved).eigenvectors[:, -k:].flip(1)
        return rows, rows


def natural_means(seen: Seen) -> tuple[Float[Tensor, "pairs hidden"], Bool[Tensor, "pairs"]]:
    """For each pair the mean state that has the counterfactual's values, and whether any state has them."""
    return means_of(seen.states, seen.values, seen.wanted)


def means_of(
    states: Float[Tensor, "n hidden"], values: Int[Tensor, "n var"], wanted: Int[Tensor, "pairs var"]
) -> tuple[Float[Tensor, "pairs hidden"], Bool[Tensor, "pairs"]]:
    """For each of some values the mean of the states that have them, and whether any has."""
    own, asked = classes(torch.cat([values, wanted])).split([len(values), len(wanted)])
    groups = int(max(own.max(), asked.max())) + 1
    counts = torch.zeros(groups, dtype=states.dtype, device=own.device)
    counts.index_add_(0, own, torch.ones_like(own, dtype=counts.dtype))
    total = states.new_zeros(groups, states.shape[1]).index_add_(0, own, states)
    return (total / counts.clamp(min=1)[:, None])[asked], counts[asked] > 0


def class_means(
    states: Float[Tensor, "n hidden"], label: Int[Tensor, "n"]
) -> tuple[Float[Tensor, "classes hidden"], Float[Tensor, "classes"]]:
    """The mean state of each class, and how many states it has."""
    counts = torch.bincount(label).to(states.dtype)
    total = states.new_zeros(len(counts), states.shape[1]).index_add_(0, label, states)
    return total / counts[:, None], counts


def damped(matrix: Float[Tensor, "hidden hidden"], ridge: float) -> Float[Tensor, "hidden hidden"]:
    """A covariance with a share of its mean variance added to each."""
    eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    least = torch.finfo(matrix.dtype).tiny ** 0.5
    return matrix + (ridge * matrix.trace() / len(matrix) + least) * eye


def classes(values: Int[Tensor, "n columns"]) -> Int[Tensor, "n"]:
    """A number for each combination of values; all are one where there are no columns."""
    if values.shape[1] == 0:
        return torch.zeros(len(values), dtype=torch.long, device=values.device)
    return torch.unique(values, dim=0, return_inverse=True)[1]


def _orthonormal(columns: Float[Tensor, "hidden k"]) -> Float[Tensor, "hidden k"]:
    """The same span."""
    return torch.linalg.qr(columns).Q


def distinct(found: Sequence[tuple[str, dict[str, Tensor]]]) -> dict[str, dict[str, Tensor]]:
    """Starts by name, without those that are the same as one before them."""
    kept: dict[str, dict[str, Tensor]] = {}
    for name, one in found:
        if not any(all(torch.allclose(one[key], other[key], atol=1e-6) for key in one) for other in kept.values()):
            kept[name] = one
    return kept
