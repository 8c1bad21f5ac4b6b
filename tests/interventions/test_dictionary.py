"""The exchange of a dictionary's features against plain algebra, feature by feature."""

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.interventions import DictionaryIntervention

WIDTH, K = 6, 9


@pytest.fixture
def made():
    """More features than the states are wide, with biases and thresholds."""
    one = DictionaryIntervention(embed_dim=WIDTH, low_rank_dimension=K, subspace_partition=[[0, 4], [4, 9]])
    for tensor in (one.encoder, one.decoder, one.bias):
        tensor.copy_(torch.randn_like(tensor))
    one.threshold.copy_(torch.rand(K))
    return one


@pytest.fixture
def sides():
    return torch.randn(2, 40, WIDTH)


def activation(one, state, feature):
    before = float(state @ one.encoder[:, feature] + one.bias[feature])
    return before if before > float(one.threshold[feature]) else 0.0


def test_the_chosen_activations_are_the_sources_and_the_rest_stays(made, sides):
    base, source = sides
    got = made(base.clone(), source, [[i % 2] for i in range(len(base))])
    active = set()
    for i, (h, s) in enumerate(zip(base, source, strict=True)):
        want = h.clone()
        for f in range(4) if i % 2 == 0 else range(4, 9):
            change = activation(made, s, f) - activation(made, h, f)
            active.add((f, activation(made, h, f) > 0))
            want += change * made.decoder[f]
        torch.testing.assert_close(got[i], want)
    assert len(active) == 2 * K


def test_what_is_not_reconstructed_is_kept(made, sides):
    """The same as exchanging features of the reconstruction and adding the base's error back."""
    base, source = sides
    z = made.featurize(base)
    error = base - made.inverse(z)
    whole = DictionaryIntervention(embed_dim=WIDTH, low_rank_dimension=K)
    whole.load_state_dict({**made.state_dict(), "_extra_state": whole.get_extra_state()}, strict=False)
    whole.set_interchange_dim(K)
    torch.testing.assert_close(whole(base.clone(), source), made.inverse(made.featurize(source)) + error)


def test_it_has_nothing_to_learn_and_needs_a_number(made):
    assert not any(p.requires_grad for p in made.parameters())
    with pytest.raises(InvalidArgumentError, match="low_rank_dimension=None is not allowed: give how many features"):
        DictionaryIntervention(embed_dim=WIDTH)
    with pytest.raises(InvalidArgumentError, match="low_rank_dimension=0 is not allowed"):
        DictionaryIntervention(embed_dim=WIDTH, low_rank_dimension=0)
