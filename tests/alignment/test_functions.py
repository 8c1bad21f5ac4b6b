import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.functions import ALIGNMENTS, build, name_of
from numsym.errors import InvalidArgumentError, UnknownNameError

WIDTH = 10


@pytest.mark.parametrize("name", list(ALIGNMENTS))
@pytest.mark.parametrize("trained", [False, True])
def test_the_stacked_maps_are_the_interventions_own(name, trained):
    """Also after a step of training, which moves the rotation away from its base point; with three conditions."""
    function, members = ALIGNMENTS[name], [build(name, WIDTH, 3, 1, seed, conditions=3) for seed in (0, 1, 2)]
    base, source = torch.randn(2, 3, 5, WIDTH)
    if trained and function.learned:
        for one, b, s in zip(members, base, source, strict=True):
            optimiser = torch.optim.SGD(one.parameters(), lr=0.01)
            one(b.clone(), s).square().sum().backward()
            optimiser.step()
    tensors = [function.tensors(one) for one in members]
    stacked = {key: torch.stack([t[key] for t in tensors]) for key in tensors[0]}
    chosen = (torch.arange(getattr(members[0], "features", None) or WIDTH) < 3).float().expand(3, 1, -1)
    if function.mask is not None:
        chosen = function.mask(stacked)[:, None]
    got = function.exchange(stacked, base, source, chosen)
    want = torch.stack([one(b.clone(), s) for one, b, s in zip(members, base, source, strict=True)])
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_the_seed_is_the_start_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    one, same, other = (build("linear", WIDTH, 3, 1, seed).matrix for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"subspace_dim=0 is not allowed: it must lie in 1..10 \(the width"):
        build("linear", WIDTH, 0, 1, 0)
    with pytest.raises(InvalidArgumentError, match="subspace_dim=11 is not allowed"):
        build("orthogonal", WIDTH, 11, 1, 0)
    with pytest.raises(InvalidArgumentError, match="subspace_dim=4 is not allowed: 3 variables take 12 coordinates"):
        build("linear", WIDTH, 4, 3, 0)
    with pytest.raises(
        UnknownNameError, match="unknown alignment 'rotation': choose one of boundless, conditional, linear"
    ):
        build("rotation", WIDTH, 1, 1, 0)


def test_names_come_back():
    assert [name_of(build(name, WIDTH, 2, 1, 0)) for name in ALIGNMENTS] == list(ALIGNMENTS)
    assert name_of(pv.VanillaIntervention(embed_dim=3)) is None
