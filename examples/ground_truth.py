"""Which maps can find the count of a network in which it is known?

Two GRUs with set weights count exactly. In the first the directions of count and phase are orthogonal, in the second
they are 40 degrees apart. Both functions find the count of the first; only the LAF finds that of the second, and how
far any rotation can get there is worked out without a search.

Run: python examples/ground_truth.py   (about a minute)
"""

import math

import torch

from numsym.alignment import Hypothesis, Pairs, align_many, interchange_pairs
from numsym.models import counting_gru
from numsym.models.counters import PHASE
from numsym.tasks import MultiObject


def best_rotation(pairs: Pairs, degrees: float, grid: int = 41) -> float:
    """The highest IIA that any orthogonal exchange of any subspace of the counting GRU's state can reach.

    Only the plane of count and phase matters. There an orthogonal projection is a symmetric matrix with eigenvalues in
    0..1, so three numbers describe it: one angle and two eigenvalues. All of them are tried, on a grid, by arithmetic
    on the variables: after the exchange the count must round to the program's, and the phase be read as it was.
    """
    angle = math.radians(degrees)
    basis = torch.tensor([[1.0, 0.0], [PHASE * math.cos(angle), PHASE * math.sin(angle)]])  # rows: count, phase
    difference = _values(pairs, "source") - _values(pairs, "base")
    base, wanted = _values(pairs, "base"), pairs.state["count"].float()
    best = 0.0
    values = torch.linspace(0, 1, grid)
    for turn in torch.linspace(0, math.pi, 4 * grid)[:-1].tolist():
        axes = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        first, second = torch.meshgrid(values, values, indexing="ij")
        symmetric = (
            first[..., None, None] * axes[0, :, None] * axes[0] + second[..., None, None] * axes[1, :, None] * axes[1]
        )
        moved = base + difference @ (basis @ symmetric @ torch.linalg.inv(basis))
        # The trigger, where it is still to come, adds 1 to the phase; it is read as on above one half.
        phase = moved[..., 1] + (base[:, 1] == 0)
        right = ((moved[..., 0] - wanted).abs() < 0.5) & (phase > 0.5)
        best = max(best, right.float().mean(-1).max().item())
    return best


def _values(pairs: Pairs, side: str) -> torch.Tensor:
    """Count and phase (0 or 1) of one side of pairs that exchange the count, (batch, 2)."""
    ids, at = (pairs.base_ids, pairs.base_at) if side == "base" else (pairs.source_ids, pairs.source_at)
    trigger = ids == MultiObject().vocabulary.trigger
    seen = (trigger & (torch.arange(ids.shape[1]) <= at[:, None])).any(1)
    return torch.stack([getattr(pairs, f"{side}_value").float(), seen.float()], 1)


def main() -> None:
    """Search in both networks, and print what each function reaches."""
    torch.set_num_threads(2)
    task = MultiObject()
    pairs = interchange_pairs(task, task.program(), ("count",), 1000, generator=torch.Generator().manual_seed(9))
    for degrees in (90, 40):
        model = counting_gru(task.vocabulary, width=8, degrees=degrees)
        found = align_many(
            model,
            task,
            [Hypothesis(alignment=name, subspace_dim=4, seed=0) for name in ("orthogonal", "linear")],
            search={"max_steps": 1500, "learning_rate": 0.01, "stop_at": 1.0},
            pairs={"train": 2000},
            controls=("floor", "ceiling"),
        )
        print(f"count and phase {degrees} degrees apart: best possible rotation {best_rotation(pairs, degrees):.3f}")
        for result in found:
            share = result.test.iia
            print(f"  {result.alignment:<11} IIA {share.value:.3f} [{share.low:.3f}, {share.high:.3f}]", end="")
            print(f"  held-out {result.heldout_iia:.3f}  floor {result.floor:.3f}  ceiling {result.ceiling:.3f}")


if __name__ == "__main__":
    main()
