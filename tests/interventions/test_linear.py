"""The LAF against its definition in [N], written out with a general inverse."""

import pytest
import torch

from numsym.interventions import LinearAlignmentIntervention

WIDTH = 24


@pytest.fixture
def laf():
    made = LinearAlignmentIntervention(embed_dim=WIDTH, bias=True).double()
    made.set_interchange_dim(5)
    return made


def weight(laf):
    m, a = laf.matrix, laf.scale
    return (m @ m.T + 0.1 * torch.eye(WIDTH, dtype=m.dtype)) @ torch.diag(a.tanh() + 0.1 * a.tanh().sign())


def test_it_starts_as_the_paper_says():
    matrices = torch.stack([LinearAlignmentIntervention(embed_dim=WIDTH).matrix for _ in range(50)])
    scales = torch.stack([LinearAlignmentIntervention(embed_dim=WIDTH).scale for _ in range(200)])
    assert matrices.std().item() == pytest.approx(WIDTH**-0.5, rel=0.02)
    assert scales.std().item() == pytest.approx(0.01, rel=0.05)


def test_the_exchange_is_the_swap_of_the_first_features(laf):
    laf.standardise(torch.randn(100, WIDTH, dtype=torch.float64) * torch.rand(WIDTH, dtype=torch.float64) + 2)
    laf.bias.data.normal_()
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    w = weight(laf)
    z, z_source = (((h - laf.mean) / laf.std + laf.bias) @ w for h in (base, source))
    torch.testing.assert_close(laf.featurize(base), z)
    torch.testing.assert_close(laf.inverse(z), base)
    swapped = torch.cat([z_source[:, :5], z[:, 5:]], 1)
    want = (swapped @ torch.linalg.inv(w) - laf.bias) * laf.std + laf.mean
    torch.testing.assert_close(laf(base, source), want)
    torch.testing.assert_close(laf.inverse(swapped), want)


def test_it_is_the_oblique_projection_of_the_search(laf):
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    w = weight(laf)
    projection = w[:, :5] @ torch.linalg.inv(w)[:5]
    torch.testing.assert_close(laf(base, source), base + (source - base) @ projection)
    torch.testing.assert_close(projection @ projection, projection)
    assert not torch.allclose(projection, projection.T, atol=1e-3)


def test_gradients_equal_those_of_the_definition(laf):
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    target = torch.randn(8, WIDTH, dtype=torch.float64)
    w = weight(laf)
    defined = base + (source - base) @ (w[:, :5] @ torch.linalg.inv(w)[:5])
    (want,) = torch.autograd.grad((defined * target).sum(), laf.matrix)
    (got,) = torch.autograd.grad((laf(base, source) * target).sum(), laf.matrix)
    torch.testing.assert_close(got, want)


def test_the_diagonal_is_never_zero():
    laf = LinearAlignmentIntervention(embed_dim=3)
    laf.scale.data = torch.tensor([0.0, -0.5, 0.5])
    torch.testing.assert_close(laf.diagonal, torch.tensor([0.1, -0.5621, 0.5621]), atol=1e-4, rtol=0)


def test_a_constant_feature_keeps_its_scale():
    laf = LinearAlignmentIntervention(embed_dim=2)
    laf.standardise(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert laf.std.tolist() == [pytest.approx(2**0.5), 1.0]


def test_double_precision_round_trips_to_the_last_digits(laf):
    h = torch.randn(8, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(laf.inverse(laf.featurize(h)), h, atol=1e-12, rtol=0)


def interaction(exchange, k):
    """XY of a projection acting on rows, whose range is the rows of (I, X) and whose kernel those of (Y, I)."""
    left, sizes, right = torch.linalg.svd(exchange)
    reached, lost = right[:k], left[:, k:].T
    assert sizes[k:].max() < 1e-9
    x = torch.linalg.solve(reached[:, :k], reached[:, k:])
    y = torch.linalg.solve(lost[:, k:], lost[:, :k])
    return torch.linalg.eigvals(x @ y)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_its_exchanges_are_not_those_of_rotations(k):
    zero, units = torch.zeros(8, 8, dtype=torch.float64), torch.eye(8, dtype=torch.float64)
    for seed in range(20):
        torch.manual_seed(seed)
        laf = LinearAlignmentIntervention(embed_dim=8).double()
        laf.standardise(torch.randn(100, 8, dtype=torch.float64) * torch.rand(8, dtype=torch.float64))
        laf.mean.zero_()
        laf.set_interchange_dim(k)
        found = interaction(laf(zero, units).detach(), k)
        assert found.imag.abs().max() < 1e-8
        assert found.real.min() > -1e-8
        assert found.real.max() < 1
        turned = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64)).Q[:, :k]
        assert interaction(turned @ turned.T, k).real.min() < -1e-4
