import pytest

from numsym.alignment.functions import build
from numsym.alignment.site import Site
from numsym.models import RecurrentConfig, RecurrentLM


def test_sites_read_as_component_and_layer():
    assert Site.of("state") == Site("state", 0)
    assert Site.of("state_1:2") == Site("state_1", 2)
    assert Site.of(Site("state", 1)) == Site("state", 1)


def test_a_site_knows_its_width_and_what_there_is_instead():
    model = RecurrentLM(RecurrentConfig(hidden_size=12, num_layers=2))
    assert Site("state", 1).check(model) == 12
    with pytest.raises(ValueError, match="unknown component of RecurrentLM 'block': choose one of state, state_1"):
        Site("block").check(model)


def test_in_pyvenes_terms_it_keeps_the_blocks():
    representation = Site("state", 1).representation(build("linear", 12, 3, 2, 0))
    assert (representation.component, representation.layer, representation.unit) == ("state", 1, "pos")
    assert representation.subspace_partition == [[0, 1, 2], [3, 4, 5]]
