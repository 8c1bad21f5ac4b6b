"""Starts of two functions that are to agree: where the answer is known from how the states were made."""

import pytest
import torch

from numsym.alignment.engines.cross import ALL, features, states
from numsym.alignment.functions import build
from numsym.alignment.joint_starts import Crossing, Network, agreeing, joint_starts
from numsym.alignment.starts import means_of

K, WIDTHS = 2, (5, 6)


@pytest.fixture
def frames(generator):
    """Of each network orthonormal directions: two of the digit, and one of the bit."""
    return [torch.linalg.qr(torch.randn(width, 3, generator=generator, dtype=torch.float64)).Q for width in WIDTHS]


@pytest.fixture
def crossings(frames, generator):
    """Both networks write a digit at the same two coordinates, and a bit; each in directions of its own."""
    where = torch.randn(4, 2, generator=generator, dtype=torch.float64)

    def drawn(place):
        values = torch.stack([torch.randint(n, (300,), generator=generator) for n in (4, 2)], 1)
        code = torch.cat([where[values[:, 0]], values[:, 1:].double()], 1)
        noise = 1e-3 * torch.randn(300, WIDTHS[place], generator=generator, dtype=torch.float64)
        return code @ frames[place].T + noise, values

    made = {}
    for a, b in ALL:
        (base, own), (source, given) = drawn(b), drawn(a)
        made[a, b] = Crossing(base, source, own, given, torch.stack([given[:, 0], own[:, 1]], 1))
    return made


@pytest.fixture
def networks(crossings):
    first, second = (Network.of(place, crossings, (0,), ("digit", "bit")) for place in (0, 1))
    return first, second


@torch.no_grad()
def off(pair, crossings, networks):
    """How far exchanged states are from the means that they should be, in the worst direction."""
    found = []
    for (a, b), one in crossings.items():
        k = int(pair[0].interchange_dim)
        taken = torch.cat([features(pair[a], one.source)[:, :k], features(pair[b], one.base)[:, k:]], 1)
        target, known = means_of(networks[b].states, networks[b].values, one.wanted)
        assert known.all()
        found.append((states(pair[b], taken) - target).norm(dim=1).mean())
    return float(max(found))


def placed(pair, start):
    both = torch.nn.ModuleList(one.double() for one in pair)
    both.load_state_dict({**both.state_dict(), **start})
    return both


def test_a_network_has_all_states_that_are_its_own(crossings, networks):
    for place, one in enumerate(networks):
        assert one.states.shape == (4 * 300, WIDTHS[place])
    torch.testing.assert_close(networks[0].states[:300], crossings[0, 0].base)
    torch.testing.assert_close(networks[1].states[-300:], crossings[1, 1].source)


def test_directions_agree_on_what_the_values_coordinates_are(frames, networks):
    for mine, frame in zip(agreeing(networks, K), frames, strict=True):
        torch.testing.assert_close(mine @ mine.T, frame[:, :2] @ frame[:, :2].T, atol=1e-3, rtol=0)
    first, second = agreeing(networks, K)
    torch.testing.assert_close(frames[0][:, :2].T @ first, frames[1][:, :2].T @ second, atol=1e-3, rtol=0)


def test_rotations_begin_at_the_exchange_that_both_share(crossings, networks):
    pair = build("orthogonal", 5, K, 1, 0), build("orthogonal", 6, K, 1, 1)
    found = joint_starts(pair, networks, crossings)
    assert list(found) == ["agreeing, means", "agreeing, regression"]
    for start in found.values():
        assert off(placed(pair, start), crossings, networks) < 0.02


def test_lafs_begin_near_it_where_scales_and_offsets_differ(crossings, networks):
    """One network writes all twice as large, about another mean: no rotation can, and LAFs with room to spare do."""
    for (a, b), one in crossings.items():
        base, source = (2 * side + 1 if place == 1 else side for side, place in ((one.base, b), (one.source, a)))
        crossings[a, b] = Crossing(base, source, one.base_values, one.source_values, one.wanted)
    moved = tuple(Network.of(place, crossings, (0,), ("digit", "bit")) for place in (0, 1))
    lafs, turned = ([build(name, width, 4, 1, 0) for width in WIDTHS] for name in ("linear", "orthogonal"))
    for one, network in zip(lafs, moved, strict=True):
        one.bias.requires_grad_(True)
        one.standardise(network.states)
    found = joint_starts((lafs[0], lafs[1]), moved, crossings)
    assert list(found) == ["agreeing, regression"]
    laf = off(placed(lafs, found["agreeing, regression"]), crossings, moved)
    for start in joint_starts((turned[0], turned[1]), moved, crossings).values():
        assert off(placed(turned, start), crossings, moved) > 3 * laf


def test_nothing_is_said_where_no_state_has_the_counterfactuals_values(crossings, networks):
    pair = build("linear", 5, K, 1, 0), build("linear", 6, K, 1, 1)
    for direction, one in crossings.items():
        crossings[direction] = Crossing(one.base, one.source, one.base_values, one.source_values, one.wanted + 9)
    assert joint_starts(pair, networks, crossings) == {}
