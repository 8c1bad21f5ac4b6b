import pytest

from numsym.errors import InvalidArgumentError
from numsym.plots.circuits import plot_phase, plot_training


def saved(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    return (tmp_path / "figure.png").stat().st_size


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
    for draw, name in ((plot_training, "history"), (plot_phase, "rows")):
        with pytest.raises(InvalidArgumentError, match=f"{name}="):
            draw([])
