import pytest

from numsym.models import RecurrentLM, TransformerLM, build


def test_each_architecture_is_built_from_its_recipe():
    gru = build(9, cell="gru", hidden_size=12)
    assert isinstance(gru, RecurrentLM)
    assert gru.config.hidden_size == 12
    transformer = build(9, architecture="transformer", hidden_size=12, num_heads=3, num_layers=1)
    assert isinstance(transformer, TransformerLM)
    assert transformer.config.num_heads == 3


def test_what_is_not_allowed_is_named():
    with pytest.raises(
        ValueError, match=r"unknown architecture 'mamba': choose one of gated_deltanet, mamba2, recurrent, transformer"
    ):
        build(9, architecture="mamba")
    with pytest.raises(ValueError, match=r"model has cell, .* TransformerConfig has no such argument"):
        build(9, architecture="transformer", cell="gru")
