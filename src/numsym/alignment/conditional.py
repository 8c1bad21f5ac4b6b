"""What an exchange that is linear given a condition begins with: read from the states, without a gradient step.

1. The condition of every state: a variable of the program has it, or it is found (`found_codes`).
2. A probe for it: ridge regression on one-hot conditions.
3. In each condition the mean state of each value of the exchanged variable. The values that all conditions have say how
   their codes correspond: the principal components of these means, side by side, are coordinates z of the values.
4. V_c: least squares of the means on z, how a condition writes them. U_c: the linear discriminant of V_c with the
   covariance of the condition's states about their means (or V_c itself), scaled to read z.

With one condition these are the starts *means* of `numsym.alignment.starts`. A condition that shares fewer than two
values with the others (a count of responses during the demonstration) takes the directions of all states together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym._pyvene import pv
from numsym.alignment.starts import RIDGES, Seen, class_means, classes, damped, moving_directions
from numsym.errors import InvalidArgumentError

PROBE_RIDGE = 1e-3
ROUNDS, TRIALS = 30, 4
"""Of finding codes: reassignments, and how often it begins again."""

LEAST = 1e-3
"""The spread of a shared component, as a share of the first's, below which it is noise of the means and no coordinate.

Kept, such a component is divided by its spread: on GRUs of width 128 the start *means, U = V* has 78 and 86 % with all
components and 98 and 93 % with these (Same-Object, seeds 0 and 1), and differs from run to run by rounding.
"""

Code = tuple[Float[Tensor, "hidden k"], Float[Tensor, "hidden k"], Float[Tensor, "k"]]
"""U, V and the offset of one condition."""


def starts(intervention: pv.Intervention, seen: Seen) -> Mapping[str, dict[str, Tensor]]:
    """Every start by name; "random" has the probe and the means, and directions at random.

    Those that are no map are left out: in some condition the states do not vary with the value.

    Raises:
        InvalidArgumentError: a condition has too few states.
    """
    k, m = int(intervention.interchange_dim) // len(seen.blocks), intervention.latent_dim
    label = seen.condition
    if label is None:
        label = found_codes(seen, m) if m > 1 else torch.zeros_like(seen.values[:, 0])
    check_states(label, m, k)
    fixed = dict(zip(("probe", "threshold"), probe(seen.states, label, m), strict=True))
    fixed["mean"] = class_means(seen.states, label)[0]
    made: dict[str, dict[str, Tensor]] = {"random": dict(fixed)}
    for name, ridge in ((("means, U = V", None)), *((f"means, ridge {ridge:g}", ridge) for ridge in RIDGES)):
        parts = [_codes(seen, block, label, m, k, ridge) for block in range(len(seen.blocks))]
        columns, rows, offsets = (torch.cat([part[side] for part in parts], -1) for side in (0, 1, 2))
        # Where a condition's states are all one, as a token's embedding is, its code is nothing and has no inverse.
        if not bool(torch.linalg.inv_ex((rows.mT @ columns).float())[1].any()):
            made[name] = {**fixed, "columns": columns, "rows": rows, "offsets": offsets}
    return made


def check_states(label: Int[Tensor, "both"], m: int, k: int) -> None:
    """Raise `InvalidArgumentError` where a condition has no more states than coordinates."""
    counts = torch.bincount(label, minlength=m).tolist()
    if min(counts) <= k:
        raise InvalidArgumentError(
            f"condition with {m} values is not allowed with these pairs: their bases and sources have {counts} states "
            f"of each, and each needs more than subspace_dim={k}; give more pairs, or fewer conditions"
        )


def probe(
    states: Float[Tensor, "both hidden"], label: Int[Tensor, "both"], m: int
) -> tuple[Float[Tensor, "hidden condition"], Float[Tensor, "condition"]]:
    """Weights and thresholds whose argmax is the condition, by ridge regression on standardised states."""
    mean, std = states.mean(0), states.std(0)
    std = torch.where(std > 0, std, 1.0)
    standard, wanted = (states - mean) / std, torch.nn.functional.one_hot(label, m).to(states)
    weights = torch.linalg.solve(damped(standard.mT @ standard, PROBE_RIDGE), standard.mT @ (wanted - wanted.mean(0)))
    weights = weights / std[:, None]
    return weights, wanted.mean(0) - mean @ weights


@dataclass(frozen=True)
class _Means:
    """The mean states of one condition's values, less the mean of its states.

    Attributes:
        states: (rows, hidden) those of the condition, centred.
        rest: (rows, hidden) the same, less the mean of their value.
        value: (classes,) which values there are, as numbers that all conditions share.
        means, counts: (classes, hidden), (classes,) of each.
    """

    states: Tensor
    rest: Tensor
    value: Tensor
    means: Tensor
    counts: Tensor

    @classmethod
    def of(cls, states: Tensor, values: Tensor) -> "_Means":
        centred = states - states.mean(0)
        known, index = values.unique(return_inverse=True)
        means, counts = class_means(centred, index)
        return cls(centred, centred - means[index], known, means, counts)


def _codes(
    seen: Seen, block: int, label: Tensor, m: int, k: int, ridge: float | None
) -> tuple[Float[Tensor, "m hidden k"], Float[Tensor, "m hidden k"], Float[Tensor, "m k"]]:
    """U, V and offsets of every condition."""
    values = classes(seen.values[:, list(seen.blocks[block])])
    parts = [_Means.of(seen.states[label == c], values[label == c]) for c in range(m)]
    if m == 1:
        directions = moving_directions(seen, block, k)
        codes = [_code(directions, parts[0], ridge)]
    else:
        codes = _corresponding(seen, block, parts, k, ridge)
    columns, rows, offsets = (torch.stack([code[side] for code in codes]) for side in (0, 1, 2))
    return columns, rows, offsets


def _corresponding(seen: Seen, block: int, parts: list[_Means], k: int, ridge: float | None) -> list[Code]:
    """The codes of several conditions, in coordinates that mean the same in all."""
    apart = [len(part.value) < 2 for part in parts]
    shared = _in_all([part.value for part, alone in zip(parts, apart, strict=True) if not alone])
    pooled = moving_directions(seen, block, k)
    if len(shared) < 2:
        return [_code(pooled, part, ridge) for part in parts]
    rows = {c: torch.isin(part.value, shared) for c, part in enumerate(parts) if not apart[c]}
    beside = torch.cat([parts[c].means[mine] for c, mine in rows.items()], 1)
    left, spread, _ = torch.linalg.svd(beside - beside.mean(0), full_matrices=False)
    n = min(k, int((spread > LEAST * spread[0]).sum()))
    z = left[:, :n] * spread[:n]
    codes: list[Code] = []
    for c, part in enumerate(parts):
        if apart[c]:
            codes.append(_code(pooled, part, ridge))
            continue
        means = part.means[rows[c]]
        written = torch.linalg.lstsq(z, means - means.mean(0)).solution.mT
        directions = _completed(written, part.states, k)
        columns, rows_, _ = _code(directions, part, ridge)
        # What it reads there is z: the condition's mean state is not the mean of the shared values.
        codes.append((columns, rows_, -(means.mean(0) @ columns)))
    return codes


def _code(directions: Float[Tensor, "hidden k"], part: _Means, ridge: float | None) -> Code:
    """U that reads, in one condition, the coordinates that V writes along `directions`."""
    columns = directions
    if ridge is not None:
        covariance = part.rest.mT @ part.rest / len(part.rest)
        columns = torch.linalg.solve(damped(covariance, ridge), directions)
    columns = columns @ torch.linalg.pinv(directions.mT @ columns, rtol=1e-10)
    return columns, directions, directions.new_zeros(directions.shape[1])


def _completed(
    written: Float[Tensor, "hidden some"], states: Float[Tensor, "rows hidden"], k: int
) -> Float[Tensor, "hidden k"]:
    """With directions in which the states vary least, where the means span fewer than `k`."""
    missing = k - written.shape[1]
    if missing <= 0:
        return written
    inside = torch.linalg.qr(written).Q
    covariance = states.mT @ states / len(states)
    away = torch.eye(len(covariance), dtype=states.dtype, device=states.device) - inside @ inside.mT
    covariance = away @ covariance @ away + covariance.trace() * (inside @ inside.mT)
    return torch.cat([written, torch.linalg.eigh(covariance).eigenvectors[:, :missing]], 1)


def _in_all(values: list[Tensor]) -> Tensor:
    """What all have."""
    if not values:
        return torch.empty(0)
    found = values[0]
    for other in values[1:]:
        found = found[torch.isin(found, other)]
    return found


def found_codes(seen: Seen, m: int) -> Int[Tensor, "both"]:
    """A condition for each state, found by itself: m codes for the first block's values, each readable by a probe.

    Alternately: the mean state of each value in each code; each state to the code that has its value's mean nearest;
    and a linear probe for these assignments, whose reading is the next assignment. Of several random beginnings the
    one whose means leave the least.
    """
    states, values = seen.states, classes(seen.values[:, list(seen.blocks[0])])
    generator = torch.Generator().manual_seed(0)
    best, least = torch.zeros_like(values), float("inf")
    for _ in range(TRIALS):
        label = _parted(states, m, generator)
        for _ in range(ROUNDS):
            off = torch.stack([_off(states, values, label == c) for c in range(m)], 1)
            weights, threshold = probe(states, off.argmin(1), m)
            new = (states @ weights + threshold).argmax(1)
            if torch.equal(new, label):
                break
            label = new
        off = torch.stack([_off(states, values, label == c) for c in range(m)], 1)
        left = off.gather(1, label[:, None]).mean().item()
        if left < least and len(label.unique()) == m:
            best, least = label, left
    return best


def _parted(states: Tensor, m: int, generator: torch.Generator) -> Int[Tensor, "both"]:
    """Where a random projection of the states lies among its own m quantiles."""
    direction = torch.randn(states.shape[1], generator=generator, dtype=torch.float64).to(states)
    at = ((states - states.mean(0)) / states.std(0).clamp(min=1e-9)) @ direction
    return (at.argsort().argsort() * m // len(at)).clamp(max=m - 1)


def _off(states: Tensor, values: Tensor, inside: Tensor) -> Float[Tensor, "both"]:
    """How far each state is from the mean that its value has in a code; where it has none, from the code's mean."""
    if not bool(inside.any()):
        return torch.full_like(states[:, 0], float("inf"))
    groups = int(values.max()) + 1
    counts = torch.bincount(values[inside], minlength=groups).to(states)
    total = states.new_zeros(groups, states.shape[1]).index_add_(0, values[inside], states[inside])
    mean = torch.where(counts[:, None] > 0, total / counts.clamp(min=1)[:, None], states[inside].mean(0))
    return (states - mean[values]).square().sum(1)
