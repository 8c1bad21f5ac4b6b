"""What a start says as parameters, against the projection itself."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.projected import STRETCH, _difference
from numsym.alignment.starts import Seen
from numsym.interventions.linear import DAMPING

WIDTH, K = 6, 2


@pytest.fixture
def pairs():
    states = torch.randn(2, 200, WIDTH, dtype=torch.double)
    values = torch.randint(3, (3, 200, 1))
    return Seen(*states, *values, torch.zeros(200, dtype=torch.long), ((0,),), ("count",))


def exchanged(name, projection, pairs, blocks=1, block=0):
    """What the intervention makes of the pairs with the parameters that the projection says."""
    one = build(name, WIDTH, K, blocks, 0)
    parameters = ALIGNMENTS[name].projected(one, projection, pairs)
    named = {**dict(one.named_parameters()), **dict(one.named_buffers())}
    with torch.no_grad():
        for key, value in parameters.items():
            named[key].copy_(value)
    if hasattr(one, "set_temperature"):
        one.set_temperature(0.01)
    subspaces = None if blocks == 1 else [[block]] * len(pairs.base)
    return one(pairs.base.float(), pairs.source.float(), subspaces=subspaces)


def wanted(projection, pairs, chosen=slice(None)):
    columns, rows = projection
    inverse = torch.linalg.solve(rows.mT @ columns, rows.mT)
    return (pairs.base + (pairs.source - pairs.base) @ columns[:, chosen] @ inverse[chosen]).float()


def spans(n=K):
    return [torch.linalg.qr(torch.randn(WIDTH, n, dtype=torch.double)).Q for _ in range(2)]


def test_a_low_rank_map_is_the_projection_and_a_rotation_the_orthogonal_one_on_what_is_written(pairs):
    columns, rows = spans()
    torch.testing.assert_close(exchanged("low_rank", (columns, rows), pairs), wanted((columns, rows), pairs))
    torch.testing.assert_close(
        exchanged("orthogonal", (columns, rows), pairs), wanted((rows, rows), pairs), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["linear", "boundless"])
def test_a_laf_is_fitted_to_what_a_laf_can_be(name, pairs):
    """The exchange of another LAF: it is found again, by its effect."""
    matrix = torch.randn(WIDTH, WIDTH, dtype=torch.double)
    forward = matrix @ matrix.mT + 0.1 * torch.eye(WIDTH, dtype=torch.double)
    projection = torch.linalg.qr(forward[:, :K]).Q, torch.linalg.qr(torch.linalg.inv(forward)[:K].mT).Q
    goal = wanted(projection, pairs)
    off = (exchanged(name, projection, pairs) - goal).square().mean() / (goal - pairs.base).square().mean()
    assert off < 1e-3


def test_a_laf_comes_nearer_than_the_one_it_was_made_as_to_what_it_cannot_be(pairs):
    columns, _ = spans()
    goal = wanted((columns, columns), pairs)
    fresh = build("linear", WIDTH, K, 1, 0)(pairs.base.float(), pairs.source.float())
    assert (exchanged("linear", (columns, columns), pairs) - goal).square().mean() < (fresh - goal).square().mean() / 2


@pytest.mark.parametrize(("name", "tolerance"), [("low_rank", 1e-4), ("orthogonal", 1e-4)])
def test_each_block_is_exchanged_along_the_others(name, tolerance, pairs):
    columns = torch.linalg.qr(torch.randn(WIDTH, 2 * K, dtype=torch.double)).Q
    for block in (0, 1):
        found = exchanged(name, (columns, columns), pairs, blocks=2, block=block)
        goal = wanted((columns, columns), pairs, slice(block * K, block * K + K))
        torch.testing.assert_close(found, goal, atol=tolerance, rtol=tolerance)


def test_a_standardised_laf_is_fitted_in_its_own_features(pairs):
    one = build("linear", WIDTH, K, 1, 0)
    one.standardise(pairs.base * torch.arange(1, WIDTH + 1))
    matrix = torch.randn(WIDTH, WIDTH)
    with torch.no_grad():
        one.matrix.copy_(matrix)
    tensors = ALIGNMENTS["linear"].tensors(one)
    forward, inverse = ALIGNMENTS["linear"].maps({name: t.detach()[None] for name, t in tensors.items()})
    projection = torch.linalg.qr(forward[0, :, :K].double()).Q, torch.linalg.qr(inverse[0, :K].mT.double()).Q
    goal = wanted(projection, pairs)
    parameters = ALIGNMENTS["linear"].projected(one, projection, pairs)
    with torch.no_grad():
        one.matrix.copy_(parameters["matrix"])
    off = (one(pairs.base.float(), pairs.source.float()) - goal).square().mean()
    assert off / (goal - pairs.base).square().mean() < 1e-2


def test_a_fitted_laf_has_an_inverse_in_float32_where_states_lie_in_a_plane():
    """Across the plane nothing bounds the fit."""
    plane = torch.linalg.qr(torch.randn(WIDTH, 2, dtype=torch.double)).Q
    states = torch.randn(2, 200, 2, dtype=torch.double) @ plane.mT
    flat = Seen(*states, *torch.randint(3, (3, 200, 1)), torch.zeros(200, dtype=torch.long), ((0,),), ("count",))
    for _ in range(5):
        found = ALIGNMENTS["linear"].projected(build("linear", WIDTH, K, 1, 0), tuple(spans()), flat)["matrix"]
        assert torch.linalg.svdvals(found).max() <= STRETCH * (1 + 1e-9)
        assert exchanged("linear", tuple(spans()), flat).isfinite().all()


def test_a_laf_is_left_as_it_is_where_no_exchange_changes_a_state(pairs):
    same = replace(pairs, source=pairs.base)
    made = ALIGNMENTS["linear"].projected(
        build("linear", WIDTH, K, 1, 0), (torch.eye(WIDTH)[:, :K].double(),) * 2, same
    )
    assert torch.equal(made["matrix"], torch.eye(WIDTH, dtype=torch.double))


def test_the_gradient_of_the_fit_is_what_autograd_says():
    generator = torch.Generator().manual_seed(0)
    matrix, wanted = (torch.randn(*shape, generator=generator).double() for shape in ((5, 5), (2, 5, 5)))
    chosen = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]).double()[:, None]
    moved = wanted[0].mT @ wanted[0]
    matrix.requires_grad_()
    loss, slope = _difference(matrix, chosen, wanted, moved)
    forward = matrix @ matrix.mT + DAMPING * torch.eye(5).double()
    off = forward @ torch.diag_embed(chosen[:, 0]) @ forward.inverse() - wanted
    plain = (off.mT @ moved @ off).diagonal(dim1=1, dim2=2).sum()
    assert torch.allclose(loss, plain)
    assert torch.allclose(slope, torch.autograd.grad(plain, matrix)[0])
