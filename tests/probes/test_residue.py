import math

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import ResidueResult, residue, shuffled
from numsym.probes.residue import DRAWS, deal_folds


def planted(count: int = 200, width: int = 12, noise: float = 0.3, dtype=torch.float32) -> torch.Tensor:
    """Numbers whose residues mod 2 and 5 (hence 10) lie on circles, under noise."""
    generator = torch.Generator().manual_seed(0)
    n = torch.arange(count)
    waves = [(math.pi * n).cos(), *(f(2 * math.pi * k * n / 5) for k in (1, 2) for f in (torch.cos, torch.sin))]
    turned = torch.stack(waves, dim=1) @ torch.randn(5, width, generator=generator)
    return (turned + noise * torch.randn(count, width, generator=generator)).to(dtype)


def test_planted_periods_are_read_and_others_are_not():
    result = residue(planted())
    assert list(result.kappa) == list(range(2, 11))
    for period in (2, 5, 10):
        assert result.kappa[period] > 95
        assert result.accuracy[period] > 95
    for period in (3, 7, 9):
        assert abs(result.kappa[period]) < 15
    assert all(result.converged.values())
    low, high = result.kappa_interval[7]
    assert low < result.kappa[7] < high


def test_shuffled_labels_give_kappa_near_zero():
    result = residue(shuffled(planted(400)), (2, 5, 10))
    assert all(abs(kappa) < 12 for kappa in result.kappa.values())
    assert all(low < 3 and high > -3 for low, high in result.kappa_interval.values())


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize(("count", "width"), [(200, 12), (120, 160)], ids=["rows", "features"])
def test_it_is_scikit_learns_probe(count, width, C):
    """On the same folds and penalty; with more rows than features and the other way round."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn, from the extra test")
    metrics = pytest.importorskip("sklearn.metrics")
    embeddings = planted(count, width, noise=2.0, dtype=torch.float64)
    ours = residue(embeddings, (2, 3, 5, 10), C=C)
    values, fold, n = embeddings.numpy(), ours.fold.numpy(), torch.arange(count).numpy()
    for period in (2, 3, 5, 10):
        expected = []
        for k in range(10):
            train, test = fold != k, fold == k
            standard = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
            model = linear_model.LogisticRegression(C=C, tol=1e-6, max_iter=5000)
            guess = model.fit(standard[train], n[train] % period).predict(standard[test])
            expected.append(100 * metrics.cohen_kappa_score(n[test] % period, guess))
        assert ours.kappa[period] == pytest.approx(sum(expected) / 10, abs=2)
        # Number by number nearly all are the same: here and there one lies on the boundary between two residues.
        same = [abs(a - b) < 1e-6 for a, b in zip(ours.fold_kappa[period].tolist(), expected, strict=True)]
        assert sum(same) >= 8


def test_folds_are_over_numbers_of_equal_size_and_the_callers_generator_deals_them():
    result = residue(planted(103), (2, 3), 10)
    assert result.fold.bincount(minlength=10).tolist() == [11] * 3 + [10] * 7
    again = residue(planted(103), (2, 3), 10, generator=torch.Generator().manual_seed(0))
    other = residue(planted(103), (2, 3), 10, generator=torch.Generator().manual_seed(1))
    assert torch.equal(result.fold, again.fold)
    assert not torch.equal(result.fold, other.fold)


def test_residues_follow_the_numbers_and_not_the_rows():
    embeddings = planted()
    assert residue(embeddings[3:], (5,), numbers=range(3, 200)).kappa[5] > 95


def test_constant_features_and_half_precision_are_fine():
    embeddings = torch.cat([planted(), torch.full((200, 1), 7.7)], dim=1)
    assert residue(embeddings, (5,)).kappa[5] == pytest.approx(residue(planted(), (5,)).kappa[5], abs=1.0)
    assert residue(planted().bfloat16(), (5,)).kappa[5] > 95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"periods": (2, 10), "folds": 21}, "folds=21 is not allowed with period 10: .* has only 20"),
        ({"folds": 2}, "folds=2 is not allowed"),
        ({"periods": (2,), "folds": 201}, r"folds=201 is not allowed: it must lie in 3..200 .there are 200 numbers"),
        ({"C": 0}, "C=0 is not allowed"),
        ({"C": float("nan")}, "C=nan is not allowed"),
        ({"periods": (101,)}, "periods=101 is not allowed"),
        ({"periods": ()}, "one or more different periods"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        residue(planted(), **options)


def test_a_fit_that_runs_out_of_steps_says_so(caplog):
    result = residue(planted(noise=2.0), (2, 10), C=100, max_iterations=2)
    assert not all(result.converged.values())
    assert "did not converge in 2 steps for T = " in caplog.text


def test_no_training_set_misses_a_residue():
    labels = torch.stack([torch.arange(12) % 4])
    for seed in range(20):
        fold = deal_folds(labels, 3, torch.Generator().manual_seed(seed))
        assert all(fold[labels[0] == residue].unique().numel() > 1 for residue in range(4))


def test_the_interval_is_students():
    """Against the tabulated quantile of the t distribution with two degrees of freedom."""
    result = residue(planted(noise=1.0), (5,), 3)
    half = 4.302653 * float(result.fold_kappa[5].std()) / 3**0.5
    low, high = result.kappa_interval[5]
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)
    assert (high + low) / 2 == pytest.approx(result.kappa[5])
    assert result.kappa[5] == pytest.approx(float(result.fold_kappa[5].mean()))


def test_smooth_embeddings_lie_below_their_shuffled_baseline():
    """Near 0 is not what a probe without structure to read gives: the neighbours have other residues."""
    angle = torch.arange(300)[:, None] * (2 * math.pi / 300) * torch.arange(1, 20)
    smooth = torch.cat([angle.cos(), angle.sin()], dim=1)
    plain, found = residue(smooth, (2, 3, 5)), residue(smooth, (2, 3, 5), baseline=True)
    assert found.kappa == pytest.approx(plain.kappa, abs=1.5)
    assert plain.baseline(3) is None
    band = found.baseline(3)
    assert band.n == DRAWS == len(found.shuffled[3])
    assert found.kappa[3] < band.low < 0 < band.high
    assert abs(band.value) < 5


def test_the_baseline_is_the_probe_of_shuffled_numbers():
    """The first draw, made by hand: the same folds, and the labels dealt out anew."""
    embeddings = planted(noise=1.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    found = residue(embeddings, (5,), baseline=True, generator=generator)
    again = torch.Generator().manual_seed(3)
    deal_folds(torch.arange(200)[None] % 5, 10, again)
    order = torch.randperm(200, generator=again)
    # Row order[i] of the shuffled table is number i's, so its label there is order[i] mod 5.
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn, from the extra test")
    metrics = pytest.importorskip("sklearn.metrics")
    scores = []
    for k in range(10):
        train, test = found.fold != k, found.fold == k
        mean, scale = embeddings[train].mean(0), embeddings[train].std(0, correction=0)
        model = linear_model.LogisticRegression(C=0.01, tol=1e-8, max_iter=5000)
        guess = model.fit(((embeddings[train] - mean) / scale).numpy(), (order[train] % 5).numpy())
        guess = guess.predict(((embeddings[test] - mean) / scale).numpy())
        scores.append(100 * metrics.cohen_kappa_score((order[test] % 5).numpy(), guess))
    assert found.shuffled[5][0] == pytest.approx(sum(scores) / 10, abs=2)


def test_the_result_is_saved_and_drawn(tmp_path):
    found = residue(planted(noise=1.0), (2, 5), baseline=True)
    found.save(tmp_path / "saved")
    read = ResidueResult.load(tmp_path / "saved")
    assert read.rows() == found.rows()
    assert [row["T"] for row in read.rows()] == [2, 5]
    assert read.rows()[1]["shuffled"].n == DRAWS
    figure = read.figure()
    (container,) = figure.axes[0].containers
    assert list(container[0].get_ydata()) == [found.kappa[2], found.kappa[5]]
    assert len(figure.axes[0].collections) == 3  # two bands, and the bars
    plt.close(figure)
    assert residue(planted(noise=1.0), (2,)).rows()[0]["shuffled"] is None
