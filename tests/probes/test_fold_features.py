import pytest
import torch

from numsym.probes.fold_features import Features
from numsym.probes.residue import deal_folds


def problem(count: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    embeddings = torch.randn(count, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fold = deal_folds((torch.arange(count) % 3)[None], 4)
    return embeddings, fold[None, :] != torch.arange(4)[:, None]


def standardised(embeddings: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)


@pytest.mark.parametrize(("count", "width"), [(60, 8), (31, 50)])
def test_turning_keeps_all_inner_products_with_training_rows(count, width, monkeypatch):
    monkeypatch.setattr("numsym.probes.fold_features.ALIKE", 0.0)
    embeddings, training = problem(count, width)
    features = Features.of(embeddings, training)
    assert features.scales is None
    assert (features.whole is not None) == (width < count)
    for k, rows in enumerate(training):
        standard = standardised(embeddings, rows)
        turned, ones = features.rows[k, :, :-1], features.rows[k, :, -1]
        torch.testing.assert_close(turned @ turned[rows].T, standard @ standard[rows].T)
        torch.testing.assert_close(features.lengths[k, :-1], turned[rows].square().sum(0))
        assert bool((ones == 1).all())
        assert features.lengths[k, -1] == rows.sum()


def test_shared_features_give_each_fold_its_logits_and_its_penalty():
    """Weights on a fold's own standardised features, and the same ones on the axes that all folds share."""
    embeddings, training = problem(200, 8)
    features = Features.of(embeddings, training)
    assert features.scales is not None
    weights = torch.randn(8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    every = embeddings.std(0, correction=0)
    for k, rows in enumerate(training):
        shared = weights * every / embeddings[rows].std(0, correction=0)
        point = torch.nn.functional.pad(shared @ features.scales.axes, (0, features.rows.shape[1] - 8))
        apart = standardised(embeddings, rows) @ weights - features.rows @ point
        assert float(apart.std()) < 1e-12, "more than the intercept differs"
        points = point.expand(4, 1, -1).clone()
        half = 0.5 * (points + features.scales.gradient(points))[k, 0] @ point
        torch.testing.assert_close(half, 0.5 * weights.square().sum())


def test_folds_of_very_unlike_scales_keep_their_own_features():
    embeddings, training = problem(200, 8)
    embeddings[0, 0] = 100.0
    assert Features.of(embeddings, training).scales is None
    constant = torch.cat([problem(200, 8)[0], torch.full((200, 1), 3.0, dtype=torch.float64)], dim=1)
    assert Features.of(constant, training).scales is not None
