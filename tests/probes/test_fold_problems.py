"""Loss, slope and curvature of all problems at once, against autograd on one of them."""

import torch

from numsym.probes.fold_features import Features
from numsym.probes.fold_problems import Problems
from numsym.probes.residue import deal_folds

PERIODS = (2, 5, 3)


def made() -> tuple[Problems, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(60, 7, generator=generator, dtype=torch.float64)
    labels = torch.stack([torch.arange(60) % period for period in PERIODS])
    training = deal_folds(labels, 3)[None, :] != torch.arange(3)[:, None]
    problems = Problems(Features.of(embeddings, training), labels, PERIODS, 0.7)
    point = torch.randn(3, 10, problems.rows.shape[-1], generator=generator, dtype=torch.float64)
    return problems, point


def objective(problems: Problems, point: torch.Tensor, fold: int, period: int) -> torch.Tensor:
    start = sum(PERIODS[:period])
    part = point[fold, start : start + PERIODS[period]]
    rows = problems.asked.training[fold]
    own = problems.rows if problems.rows.ndim == 2 else problems.rows[fold]
    loss = torch.nn.functional.cross_entropy((own @ part.mT)[rows], problems.labels[period][rows], reduction="sum")
    return problems.strength[period] * loss + 0.5 * part[:, :-1].square().sum()


def test_loss_and_gradient_are_autograds():
    problems, point = made()
    point.requires_grad_()
    loss, probability = problems.loss(problems.logits(point))
    gradient, _ = problems.gradient(point, probability)
    value = loss + problems.dot(0.5 * problems.penalty * point, point)
    for fold, period in ((0, 0), (2, 1), (1, 2)):
        expected = objective(problems, point, fold, period)
        torch.testing.assert_close(value[fold, period], expected)
        (slope,) = torch.autograd.grad(expected, point)
        columns = problems.owner == period
        torch.testing.assert_close(gradient[fold, columns], slope[fold, columns])
        length = slope[fold].norm() / (problems.strength[period] * problems.asked.training[fold].sum())
        torch.testing.assert_close(problems.length(gradient)[fold, period], length)


def test_the_curvature_along_a_step_is_the_second_derivative():
    problems, point = made()
    step = torch.randn(point.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    _, probability = problems.loss(problems.logits(point))
    bend = problems.bend(probability, problems.logits(step))
    for fold, period in ((0, 0), (2, 1)):

        def along(t, fold=fold, period=period):
            moved = point + t * step
            own = moved[fold, problems.owner == period, :-1]
            return objective(problems, moved, fold, period) - 0.5 * own.square().sum()

        zero = torch.zeros((), dtype=torch.float64)
        torch.testing.assert_close(bend[fold, period], torch.func.hessian(along)(zero))


def test_those_of_some_periods_are_the_same_problems():
    problems, point = made()
    kept = torch.tensor([True, False, True])
    fewer = problems.of(kept)
    assert fewer.periods == (2, 3)
    loss, _ = problems.loss(problems.logits(point))
    left, _ = fewer.loss(fewer.logits(point[:, kept[problems.owner]]))
    torch.testing.assert_close(left, loss[:, kept])
