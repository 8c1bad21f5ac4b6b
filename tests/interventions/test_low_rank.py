"""The low-rank LAF against the projection that it is."""

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.interventions import LinearAlignmentIntervention, LowRankLinearAlignmentIntervention

WIDTH, RANK = 16, 5


@pytest.fixture
def low():
    made = LowRankLinearAlignmentIntervention(embed_dim=WIDTH, low_rank_dimension=RANK).double()
    with torch.no_grad():
        made.columns.add_(0.3 * torch.randn(WIDTH, RANK))
        made.rows.add_(0.3 * torch.randn(WIDTH, RANK))
    return made


def projection(low):
    u, v = low.columns, low.rows
    return u @ torch.linalg.inv(v.T @ u) @ v.T


def test_it_is_the_oblique_projection(low):
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    p = projection(low)
    torch.testing.assert_close(p @ p, p)
    assert torch.linalg.matrix_rank(p) == RANK
    assert not torch.allclose(p, p.T, atol=1e-3)
    torch.testing.assert_close(low(base, source), base + (source - base) @ p)
    torch.testing.assert_close(low.featurize(low.inverse(low.featurize(base))), low.featurize(base))


def test_it_starts_as_a_well_conditioned_projection():
    low = LowRankLinearAlignmentIntervention(embed_dim=512, low_rank_dimension=64)
    torch.testing.assert_close(low.rows.T @ low.columns, torch.eye(64), atol=1e-5, rtol=0)


def test_it_can_be_what_a_full_laf_is():
    """P = W[:, :k] W^-1[:k, :] of any LAF, with U and V read off its factors."""
    laf = LinearAlignmentIntervention(embed_dim=WIDTH).double()
    laf.set_interchange_dim(RANK)
    low = LowRankLinearAlignmentIntervention(embed_dim=WIDTH, low_rank_dimension=RANK).double()
    with torch.no_grad():
        low.columns.copy_(laf.definite[:, :RANK])
        low.rows.copy_(torch.linalg.inv(laf.definite)[:RANK].T)
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(low(base, source), laf(base, source))


def test_nothing_as_large_as_the_full_matrix_is_made():
    """At a width where a d x d matrix would be 16 GiB, a step runs in the memory of its factors."""
    low = LowRankLinearAlignmentIntervention(embed_dim=65_536, low_rank_dimension=2)
    base, source = torch.randn(2, 3, 65_536)
    low(base, source).sum().backward()
    assert low.columns.grad.shape == low.rows.grad.shape == (65_536, 2)


@pytest.mark.parametrize("rank", [0, 17, None])
def test_the_rank_is_checked(rank):
    with pytest.raises(InvalidArgumentError, match=f"low_rank_dimension={rank} is not allowed"):
        LowRankLinearAlignmentIntervention(embed_dim=WIDTH, low_rank_dimension=rank)
