import math

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import residue, shuffled
from numsym.probes.residue import deal_folds, mean_interval


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
    assert residue(planted(dtype=torch.float64), (5,)).fold_kappa[5].dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"periods": (2, 10), "folds": 21}, "folds=21 is not allowed with period 10: .* has only 20"),
        ({"folds": 2}, "folds=2 is not allowed"),
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
    """Against tabulated quantiles of the t distribution, for 3, 5 and 10 values."""
    for count, quantile in ((3, 4.303), (5, 2.776), (10, 2.262)):
        values = torch.arange(float(count))
        low, high = mean_interval(values)
        half = quantile * float(values.std()) / count**0.5
        assert (high - low) / 2 == pytest.approx(half, rel=0.04)
        assert (high + low) / 2 == pytest.approx(float(values.mean()))
