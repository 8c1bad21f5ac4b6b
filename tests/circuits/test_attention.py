import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import AttentionToFirst, attention_to_first
from numsym.errors import InvalidArgumentError
from numsym.models import ModularTransformer, ModularTransformerConfig


def transformer(**settings):
    return ModularTransformer(ModularTransformerConfig(p=5, hidden_size=8, num_attention_heads=2, **settings)).eval()


@pytest.mark.parametrize("alpha", [0, 0.4, 1])
@pytest.mark.parametrize("separate", [False, True])
def test_attention_is_that_of_the_last_position(alpha, separate):
    model = transformer(alpha=alpha, separate_vocabularies=separate)
    found = attention_to_first(model)
    attention = model.blocks[0].attention
    x = (model.embed(torch.tensor([[3, 1 + 5 * separate]])) + model.positions.weight)[0]
    rows = slice(4, 8)
    scores = (attention.key.weight[rows] @ x.T).T @ (attention.query.weight[rows] @ x[1]) / 2
    expected = alpha * scores.softmax(0)[0] + 1 - alpha
    assert found.weights.shape == (2, 5, 5)
    torch.testing.assert_close(found.weights[1, 3, 1], expected.detach())
    assert not attention.pattern._forward_hooks


def test_more_pairs_than_run_at_once_are_read_in_order(monkeypatch):
    model = transformer()
    whole = attention_to_first(model).weights
    monkeypatch.setattr("numsym.circuits.attention.PAIRS_AT_ONCE", 4)
    torch.testing.assert_close(attention_to_first(model).weights, whole)


def test_the_result_is_saved_and_drawn(tmp_path):
    found = attention_to_first(transformer(num_hidden_layers=2), layer=1)
    found.save(tmp_path / "saved")
    read = AttentionToFirst.load(tmp_path / "saved")
    assert torch.equal(read.weights, found.weights)
    assert "layer 1, alpha = 1" in read.title
    assert read.rows()[1]["mean"] == pytest.approx(found.weights[1].mean().item())
    figure = read.figure()
    assert torch.equal(torch.tensor(figure.axes[0].images[0].get_array()), found.weights[0])
    plt.close(figure)


def test_a_layer_that_is_not_there():
    with pytest.raises(InvalidArgumentError, match=r"layer=1 is not allowed: it must lie in 0..0"):
        attention_to_first(transformer(), layer=1)
