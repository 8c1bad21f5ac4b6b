import pytest
import torch

from numsym.probes.fold_features import Features
from numsym.probes.residue import deal_folds


@pytest.mark.parametrize(("count", "width"), [(60, 8), (31, 50)])
def test_turning_keeps_all_inner_products_with_training_rows(count, width):
    embeddings = torch.randn(count, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fold = deal_folds((torch.arange(count) % 3)[None], 4)
    training = fold[None, :] != torch.arange(4)[:, None]
    features = Features.of(embeddings, training)
    assert (features.whole is not None) == (width < count)
    for k, rows in enumerate(training):
        standard = (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)
        turned, ones = features.folds[k, :, :-1], features.folds[k, :, -1]
        torch.testing.assert_close(turned @ turned[rows].T, standard @ standard[rows].T)
        torch.testing.assert_close(features.lengths[k, :-1], turned[rows].square().sum(0))
        assert bool((ones == 1).all())
        assert features.lengths[k, -1] == rows.sum()
