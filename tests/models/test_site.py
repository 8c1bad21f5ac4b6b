import pytest

from numsym.alignment.functions import build
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM
from numsym.models.site import Site, sites_named, state_sites
from numsym.results import plain, rebuilt


def test_sites_read_as_component_and_layer():
    assert Site.of("state") == Site("state", 0)
    assert Site.of("state_1:2") == Site("state_1", 2)
    assert Site.of(Site("state", 1)) == Site("state", 1)


def test_heads_and_several_places_are_sites_too():
    head = Site("attention_value_output", 5, 3)
    assert Site.of("attention_value_output:5.3") == Site.of("head_attention_value_output:5.3") == head
    both = Site.of(["block_output:4", head])
    assert both == Site.of("block_output:4+attention_value_output:5.3") == Site.of(str(both))
    assert both.parts == (Site("block_output", 4), head)
    assert rebuilt(Site, plain(both)) == both
    for name in ("query_output:5.", "query_output:.3", "query_output:5.3.1", "block_output:4+block_output:4", []):
        with pytest.raises(ValueError, match=r"site=.* is not allowed"):
            Site.of(name)


def test_a_site_knows_its_width_and_what_there_is_instead():
    model = RecurrentLM(RecurrentConfig(hidden_size=12, num_layers=2))
    assert Site("state", 1).check(model) == 12
    with pytest.raises(ValueError, match="unknown component of RecurrentLM 'block': choose one of state, state_1"):
        Site("block").check(model)


def test_in_pyvenes_terms_it_keeps_the_blocks():
    representation = Site("state", 1).representation(build("linear", 12, 3, 2, 0))
    assert (representation.component, representation.layer, representation.unit) == ("state", 1, "pos")
    assert representation.subspace_partition == [[0, 3], [3, 6]]  # first and last, as pyvene takes ranges


@pytest.fixture
def transformer():
    return TransformerLM(TransformerConfig(vocab_size=9, hidden_size=12, num_heads=2, num_layers=2))


def test_sites_are_named_one_by_one_or_by_component(transformer):
    named = sites_named(transformer, ["mlp_output", "embeddings", "block_output:1", Site("block_output", 1)])
    assert [str(site) for site in named] == ["mlp_output:0", "mlp_output:1", "embeddings:0", "block_output:1"]
    with pytest.raises(ValueError, match=r"layer=2 is not allowed.*layers are 0\.\.1"):
        sites_named(transformer, ["mlp_output:2"])
    with pytest.raises(ValueError, match="unknown component of TransformerLM 'mlp'"):
        sites_named(transformer, ["mlp"])
    with pytest.raises(ValueError, match=r"sites=\[\] is not allowed"):
        sites_named(transformer, [])
    heads = sites_named(transformer, ["head_query_output", ["block_input", "block_output"]])
    assert [str(site) for site in heads] == [
        *(f"query_output:{layer}.{head}" for layer in range(2) for head in range(2)),
        "block_input:0+block_output:0",
    ]


def test_a_head_that_there_is_not_is_said(transformer):
    assert Site.of("query_output:1.1").check(transformer) == 6
    with pytest.raises(ValueError, match=r"'query_output:1.2' is not allowed: its heads are 0\.\.1 in TransformerLM"):
        Site.of("query_output:1.2").check(transformer)
    with pytest.raises(ValueError, match=r"'mlp_output:1\.0' is not allowed: it does not hold heads side by side"):
        Site.of("mlp_output:1.0").check(transformer)
    with pytest.raises(ValueError, match=r"layer=2 is not allowed.*layers are 0\.\.1"):
        Site.of("query_output:2.0").check(transformer)
    with pytest.raises(ValueError, match="unknown component of TransformerLM 'quer'"):
        Site.of("quer:1.0").check(transformer)


def test_places_that_share_a_map_are_equally_wide(transformer):
    assert Site.of("block_output:0+mlp_output:1").check(transformer) == 12
    with pytest.raises(ValueError, match=r"equally wide, and block_output:0 is 12, query_output:0\.1 is 6"):
        Site.of("block_output:0+query_output:0.1").check(transformer)


def test_a_position_hands_on_its_states_or_the_residual_stream(transformer):
    assert state_sites(transformer) == [Site("block_input"), Site("block_output"), Site("block_output", 1)]
    recurrent = RecurrentLM(RecurrentConfig(hidden_size=12, num_layers=3, cell="lstm"))
    assert state_sites(recurrent) == [Site("state", layer) for layer in range(3)]
