import pytest
import torch

from numsym.circuits import correct_logits, find_circles, fit_circles
from numsym.errors import InvalidArgumentError
from numsym.models import ModularTransformer, ModularTransformerConfig
from numsym.plots.circuits import (
    attention_to_first,
    plot_attention,
    plot_circles,
    plot_correct_logits,
    plot_fve,
    plot_phase,
    plot_training,
)

P = 13


@pytest.fixture
def adder():
    """One clock of frequency 3, and noise."""
    from numsym.circuits import Adder

    angle = torch.arange(P, dtype=torch.float64) * (2 * torch.pi * 3 / P)
    table = torch.stack([angle.cos(), angle.sin()], 1)
    return Adder(table, table, lambda a, b: (a * b) @ table.T + 1)


def transformer(alpha):
    return ModularTransformer(ModularTransformerConfig(p=5, hidden_size=8, num_attention_heads=2, alpha=alpha)).eval()


def saved(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    return (tmp_path / "figure.png").stat().st_size


def test_circles_carry_every_number_in_order(adder, tmp_path):
    figure = plot_circles(adder)
    assert len(figure.axes) == len(find_circles(adder)) == 1
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == [str(t) for t in range(P)]
    assert [round(x**2 + y**2, 6) for x, y in (text.get_position() for text in texts)] == [1.0] * P
    # Neighbours on the line are one thirteenth of a turn apart.
    xy = torch.tensor(figure.axes[0].lines[0].get_xydata())
    steps = (xy[1:] - xy[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 2 * torch.sin(torch.tensor(torch.pi / P)).item()))
    assert saved(figure, tmp_path) > 0


def test_the_heat_map_is_the_matrix(adder):
    image = plot_correct_logits(adder).axes[0].images[0]
    assert torch.equal(torch.tensor(image.get_array()), correct_logits(adder))


@pytest.mark.parametrize("alpha", [0, 0.4, 1])
def test_attention_is_that_of_the_last_position(alpha, tmp_path):
    model = transformer(alpha)
    weights = attention_to_first(model)
    attention = model.blocks[0].attention
    x = (model.embed(torch.tensor([[3, 1]])) + model.positions.weight)[0]
    rows = slice(4, 8)
    scores = (attention.key.weight[rows] @ x.T).T @ (attention.query.weight[rows] @ x[1]) / 2
    expected = alpha * scores.softmax(0)[0] + 1 - alpha
    assert weights.shape == (2, 5, 5)
    torch.testing.assert_close(weights[1, 3, 1], expected.detach())
    assert not attention.pattern._forward_hooks
    figure = plot_attention(model)
    assert torch.equal(torch.tensor(figure.axes[0].images[0].get_array()), weights[0])
    assert saved(figure, tmp_path) > 0


def test_bars_are_the_fits_and_negative_ones_are_cut(adder):
    fits = fit_circles(adder)
    axes = plot_fve(fits).axes
    for axis, rows in zip(axes, ([fit.fve for fit in fits], [fit.removal for fit in fits]), strict=True):
        names = ("clock", "pizza", "pizza_prime", "accompanied_pizza")
        expected = [max(100 * row[name], 0) for name in names for row in rows]
        assert [bar.get_height() for bar in axis.patches] == pytest.approx(expected)
        assert [text.get_text() for text in axis.texts].count("<0") == expected.count(0)


def test_training_curves(tmp_path):
    names = ("test_accuracy", "gradient_symmetricity", "distance_irrelevance", "circularity")
    history = [{"epoch": e} | dict.fromkeys(names, e / 30) for e in (10, 20, 30)]
    figure = plot_training(history, title="Clock")
    assert len(figure.axes[0].lines) == 4
    for line in figure.axes[0].lines:
        assert list(line.get_ydata()) == [1 / 3, 2 / 3, 1]
    assert saved(figure, tmp_path) > 0


def test_phase_diagram_sets_non_circular_runs_apart(tmp_path):
    rows = [
        {"alpha": 0.0, "gradient_symmetricity": 0.99, "distance_irrelevance": 0.2, "circularity": 0.99},
        {"alpha": 1.0, "gradient_symmetricity": 0.3, "distance_irrelevance": 0.8, "circularity": 0.98},
        {"alpha": 0.5, "gradient_symmetricity": 0.6, "distance_irrelevance": 0.7, "circularity": 0.5},
    ]
    figure = plot_phase(rows)
    faint, circular = figure.axes[0].collections
    assert faint.get_offsets().tolist() == [[0.7, 0.6]]
    assert circular.get_offsets().tolist() == [[0.2, 0.99], [0.8, 0.3]]
    assert circular.get_array().tolist() == [0.0, 1.0]
    assert saved(figure, tmp_path) > 0


def test_nothing_to_draw():
    from numsym.circuits import Adder

    noise = torch.randn(59, 32)
    with pytest.raises(InvalidArgumentError, match="model has no circle"):
        plot_circles(Adder(noise, noise, lambda a, b: a))
    with pytest.raises(InvalidArgumentError, match=r"layer=1 is not allowed: it must lie in 0..0"):
        plot_attention(transformer(1.0), layer=1)
    for draw, name in ((plot_fve, "fits"), (plot_training, "history"), (plot_phase, "rows")):
        with pytest.raises(InvalidArgumentError, match=f"{name}="):
            draw([])
