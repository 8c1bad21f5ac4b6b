import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS, build
from numsym.alignment.projection import Projection, low_rank_rotation, projection_of, rotation_layer
from numsym.errors import InvalidArgumentError
from numsym.interventions import FourierSubspaceIntervention

WIDTH = 8


def turned(name, blocks=1):
    """A function whose parameters are not those that it starts with."""
    made = build(name, WIDTH, 2, blocks, 0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


@pytest.mark.parametrize("name", ["orthogonal", "linear", "low_rank"])
@pytest.mark.parametrize("block", [None, 0, 1])
@torch.no_grad()
def test_it_is_what_the_intervention_does(name, block):
    made = turned(name, 1 if block is None else 2)
    found = projection_of(made, block)
    assert found.rank == 2
    torch.testing.assert_close(found.rows @ found.columns, torch.eye(2, dtype=torch.double), atol=1e-6, rtol=0)
    base, source = torch.randn(2, 5, WIDTH)
    want = made(base.clone(), source, None if block is None else [[block]] * 5)
    torch.testing.assert_close((base + (source - base).double() @ found.columns @ found.rows).float(), want)


def test_the_angle_between_what_is_read_and_written_is_that_of_the_plane():
    """e1 is read along e1 and written along (1, tan 30): the projection leaves e1's feature and leans by 30 degrees."""
    columns = torch.tensor([[1.0], [0.0]], dtype=torch.double)
    leaning = Projection(columns, torch.tensor([[1.0, 3**-0.5]], dtype=torch.double))
    assert leaning.angle == pytest.approx(30)
    with pytest.raises(InvalidArgumentError, match=r"this exchange is oblique .* up to 30 degrees apart.; do that"):
        leaning.check_orthogonal("do that")
    Projection(columns, columns.mT).check_orthogonal("nothing")


def test_a_basis_is_orthonormal_and_exchanges_the_same():
    stretched = torch.randn(WIDTH, 3).double()
    found = Projection(stretched, torch.linalg.pinv(stretched))
    found.check_orthogonal("nothing")
    basis = found.basis()
    torch.testing.assert_close(basis.mT @ basis, torch.eye(3, dtype=torch.double))
    torch.testing.assert_close(basis @ basis.mT, found.columns @ found.rows)


@torch.no_grad()
def test_pyvenes_rotation_of_low_rank_is_made_from_a_basis_and_read_again():
    basis = torch.linalg.qr(torch.randn(WIDTH, 3)).Q
    before = torch.random.get_rng_state()
    made = low_rank_rotation(basis)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert isinstance(made, pv.LowRankRotatedSpaceIntervention)
    torch.testing.assert_close(rotation_layer(basis).weight, basis)
    base, source = torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(made(base, source), base + (source - base) @ basis @ basis.mT)
    torch.testing.assert_close(projection_of(made).columns.float(), basis)


def test_what_is_no_linear_exchange_is_refused():
    fitted = FourierSubspaceIntervention(period=5).fit(torch.randn(20, WIDTH), torch.arange(20), harmonics=[1])
    with pytest.raises(InvalidArgumentError, match=r"FourierSubspaceIntervention is not allowed: it must be one of"):
        projection_of(fitted)
    with pytest.raises(InvalidArgumentError, match=r"some coordinates are exchanged by degrees"):
        projection_of(build("boundless", WIDTH, 2, 1, 0))


@torch.no_grad()
def test_a_boundary_that_has_become_a_choice_is_one():
    made = build("boundless", WIDTH, 2, 1, 0)
    made.intervention_boundaries.fill_(3 / WIDTH)
    made.set_temperature(1e-3)
    assert projection_of(made).rank == 3


@torch.no_grad()
def test_a_registered_type_that_does_something_else_than_its_map_is_refused(monkeypatch):
    class Squared(pv.RotatedSpaceIntervention):
        def forward(self, base, source, subspaces=None, **kwargs):
            return super().forward(base, source**2, subspaces)

    monkeypatch.setattr(ALIGNMENTS, "_entries", dict(ALIGNMENTS._entries))
    orthogonal = ALIGNMENTS["orthogonal"]
    ALIGNMENTS.register("squared")(type(orthogonal)(Squared, orthogonal.learned, (*orthogonal.fixed,), orthogonal.maps))
    with pytest.raises(InvalidArgumentError, match="Squared is not allowed: it is no linear exchange"):
        projection_of(build("squared", WIDTH, 2, 1, 0))
