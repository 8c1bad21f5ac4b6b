import pytest
import torch

from numsym.probes.logistic import fit, fold_features
from numsym.probes.residue import deal_folds


def problem(count: int, width: int, periods: tuple[int, ...], folds: int):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(count, width, generator=generator, dtype=torch.float64)
    labels = torch.stack([torch.arange(count) % period for period in periods])
    fold = deal_folds(labels, folds)
    return embeddings, labels, fold[None, :] != torch.arange(folds)[:, None]


@pytest.mark.parametrize(("count", "width"), [(60, 8), (31, 50)])
def test_turning_keeps_all_inner_products_with_training_rows(count, width):
    embeddings, _, training = problem(count, width, (3,), 4)
    features, lengths = fold_features(embeddings, training)
    for k, rows in enumerate(training):
        standard = (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)
        torch.testing.assert_close(features[k] @ features[k, rows].T, standard @ standard[rows].T)
        gram = features[k, rows].T @ features[k, rows]
        torch.testing.assert_close(gram, lengths[k].diag(), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("C", [0.05, 2.0])
@pytest.mark.parametrize(("count", "width"), [(60, 8), (31, 50)])
def test_the_minimum_is_that_of_a_plain_solver_on_each_problem(count, width, C):
    """Each problem by itself: torch's own L-BFGS on weights and intercept of the standardised features."""
    periods = (2, 3)
    embeddings, labels, training = problem(count, width, periods, 4)
    features, lengths = fold_features(embeddings, training)
    solution = fit(features, lengths, training, labels, periods, C, tolerance=1e-14)
    start = 0
    for label, period in zip(labels, periods, strict=True):
        rows = training[1]
        standard = (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)
        weight = torch.zeros(width, period, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(period, dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS(
            [weight, bias], max_iter=3000, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def objective(standard=standard, weight=weight, bias=bias, label=label, period=period, rows=rows):
            logits = standard @ weight + bias
            strength = C / 2 if period == 2 else C
            loss = torch.nn.functional.cross_entropy(logits[rows], label[rows], reduction="sum")
            return strength * loss + 0.5 * weight.square().sum()

        def closure(solver=solver, objective=objective):
            solver.zero_grad()
            value = objective()
            value.backward()
            return value

        solver.step(closure)
        expected = (standard @ weight + bias).detach()
        got = solution.logits[1, :, start : start + period]
        # An offset that all classes share changes nothing.
        torch.testing.assert_close(
            got - got.mean(1, keepdim=True), expected - expected.mean(1, keepdim=True), atol=1e-4, rtol=1e-4
        )
        start += period
