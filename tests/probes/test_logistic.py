from dataclasses import replace

import pytest
import torch

from numsym.probes.fold_features import Features
from numsym.probes.logistic import solve
from numsym.probes.residue import deal_folds


def problem(count: int, width: int, periods: tuple[int, ...], folds: int):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(count, width, generator=generator, dtype=torch.float64)
    labels = torch.stack([torch.arange(count) % period for period in periods])
    fold = deal_folds(labels, folds)
    return embeddings, labels, fold[None, :] != torch.arange(folds)[:, None]


def test_the_folds_start_where_all_rows_end():
    """Where the search starts changes the minimum by nothing, but an offset that all classes share."""
    embeddings, labels, training = problem(300, 200, (2, 5), 4)
    features = Features.of(embeddings, training)
    warm = solve(features, labels, (2, 5), 1.0, tolerance=1e-10)
    cold = solve(replace(features, whole=None), labels, (2, 5), 1.0, tolerance=1e-10)
    assert not torch.equal(warm.logits, cold.logits)
    assert bool(warm.converged.all() & cold.converged.all())
    for start, stop in ((0, 2), (2, 7)):
        first, second = (one.logits[:, :, start:stop] for one in (warm, cold))
        centred = [part - part.mean(2, keepdim=True) for part in (first, second)]
        torch.testing.assert_close(*centred, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_folds_that_share_their_features_end_where_those_with_their_own_do(C, monkeypatch):
    """The minimum of each fold's own standardised features, though one matrix serves all of them."""
    embeddings, labels, training = problem(200, 120, (2, 5), 4)
    shared = Features.of(embeddings, training)
    monkeypatch.setattr("numsym.probes.fold_features.ALIKE", 0.0)
    own = Features.of(embeddings, training)
    assert shared.scales is not None
    assert own.scales is None
    first, second = (solve(one, labels, (2, 5), C, tolerance=1e-10) for one in (shared, own))
    assert bool(first.converged.all() & second.converged.all())
    for start, stop in ((0, 2), (2, 7)):
        centred = [
            part - part.mean(2, keepdim=True) for part in (one.logits[:, :, start:stop] for one in (first, second))
        ]
        torch.testing.assert_close(*centred, atol=1e-6, rtol=1e-6)
    without = solve(replace(shared, scales=None), labels, (2, 5), C, tolerance=1e-10)
    assert float((without.logits - second.logits).abs().max()) > 1e-4, "the scales would decide nothing here"


def test_a_looser_tolerance_takes_fewer_steps_and_its_gradient_is_that_short():
    """By autograd, on each fold's own standardised features."""
    embeddings, labels, training = problem(200, 120, (5,), 4)
    features = Features.of(embeddings, training)
    steps = []
    for tolerance in (1e-3, 1e-6):
        solution = solve(features, labels, (5,), 1.0, tolerance=tolerance)
        steps.append(solution.iterations)
        for k, rows in enumerate(training):
            standard = (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)
            weight = torch.linalg.lstsq(
                torch.nn.functional.pad(standard, (0, 1), value=1.0), solution.logits[k]
            ).solution
            weight.requires_grad_()
            loss = torch.nn.functional.cross_entropy(
                standard[rows] @ weight[:-1] + weight[-1], labels[0, rows], reduction="sum"
            )
            (slope,) = torch.autograd.grad(loss + 0.5 * weight[:-1].square().sum(), weight)
            assert float(slope.norm() / rows.sum()) < 2.5 * tolerance
    assert steps[0] < steps[1]


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_it_ends_no_higher_than_scikit_learn_does(C):
    """Both at their own default tolerance, each fold's objective in float64."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn, from the extra test")
    embeddings, labels, training = problem(200, 120, (5,), 4)
    solution = solve(Features.of(embeddings.float(), training), labels, (5,), C)
    for k, rows in enumerate(training):
        standard = (embeddings - embeddings[rows].mean(0)) / embeddings[rows].std(0, correction=0)

        def objective(weight, bias, standard=standard, rows=rows):
            logits = standard[rows] @ weight + bias
            loss = torch.nn.functional.cross_entropy(logits, labels[0, rows], reduction="sum")
            return float(C * loss + 0.5 * weight.square().sum())

        theirs = linear_model.LogisticRegression(C=C).fit(standard[rows].float().numpy(), labels[0, rows].numpy())
        ones = torch.nn.functional.pad(standard, (0, 1), value=1.0)
        ours = torch.linalg.lstsq(ones, solution.logits[k].double()).solution
        expected = objective(torch.from_numpy(theirs.coef_).double().mT, torch.from_numpy(theirs.intercept_).double())
        assert objective(ours[:-1], ours[-1]) < expected * (1 + 1e-5)


def test_a_period_that_is_solved_first_is_laid_aside_and_the_others_go_on(monkeypatch):
    # With features of their own, no fold and period waits for another.
    monkeypatch.setattr("numsym.probes.fold_features.ALIKE", 0.0)
    embeddings, labels, training = problem(300, 40, (2, 5, 7), 4)
    features = Features.of(embeddings, training)
    together = solve(features, labels, (2, 5, 7), 1.0, tolerance=1e-12)
    alone = [solve(features, labels[i : i + 1], (T,), 1.0, tolerance=1e-12) for i, T in enumerate((2, 5, 7))]
    steps = [one.iterations for one in alone]
    assert min(steps) < max(steps) == together.iterations
    assert bool(together.converged.all())
    torch.testing.assert_close(together.logits, torch.cat([one.logits for one in alone], dim=2))
    cut = solve(features, labels, (2, 5, 7), 1.0, tolerance=1e-12, max_iterations=min(steps))
    assert cut.converged.all(dim=0).tolist() == [n == min(steps) for n in steps]


def test_what_rounding_keeps_from_the_tolerance_is_solved():
    """In float32 no gradient gets as small as in float64, and the fit says so by ending."""
    embeddings, labels, training = problem(200, 120, (3,), 4)
    exact = solve(Features.of(embeddings, training), labels, (3,), 1.0, tolerance=1e-14)
    single = solve(Features.of(embeddings.float(), training), labels, (3,), 1.0, tolerance=0.0)
    assert bool(single.converged.all())
    assert single.iterations < 200
    torch.testing.assert_close(single.logits, exact.logits.float(), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("C", [0.05, 2.0])
@pytest.mark.parametrize(("count", "width"), [(60, 8), (31, 50)])
def test_the_minimum_is_that_of_a_plain_solver_on_each_problem(count, width, C):
    """Each problem by itself: torch's own L-BFGS on weights and intercept of the standardised features."""
    periods = (2, 3)
    embeddings, labels, training = problem(count, width, periods, 4)
    solution = solve(Features.of(embeddings, training), labels, periods, C, tolerance=1e-14)
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
