"""Starts on states whose variables are known: planted directions, and formulas done again in loops."""

import pytest
import torch

from numsym.alignment.starts import STEEPEST, Seen, distinct, moving_directions, natural_means, projections

WIDTH = 8


def seen(states, n=600, blocks=((1,),), values=6):
    """Pairs whose states are made from a phase (0, 1) and a count by `states`."""
    generator = torch.Generator().manual_seed(0)
    base, source = (
        torch.stack([torch.randint(high, (n,), generator=generator) for high in (2, values)], 1) for _ in range(2)
    )
    block = torch.randint(len(blocks), (n,), generator=generator)
    wanted = base.clone()
    for i, columns in enumerate(blocks):
        for column in columns:
            wanted[block == i, column] = source[block == i, column]
    sides = (states(base, generator), states(source, generator))
    return Seen(*sides, base, source, wanted, block, blocks, ("phase", "count")), states(wanted, generator)


def planted(directions, noise=0.0):
    """h = phase * a + count * b, with noise in all directions."""
    return lambda values, generator: (
        values.double() @ directions
        + noise * torch.randn(len(values), WIDTH, generator=generator, dtype=torch.double)
    )  # fmt: skip


@pytest.fixture
def directions():
    return torch.randn(2, WIDTH, dtype=torch.double)


def test_each_start_finds_what_is_planted(directions):
    """Neither direction is orthogonal to the other, so an orthogonal projection alone does not suffice."""
    pairs, result = seen(planted(directions, noise=0.01))
    found = projections(pairs, 1)
    assert {name.partition(",")[0] for name in found} == {"means", "regression"}
    for name, (columns, rows) in found.items():
        moved = pairs.base + (pairs.source - pairs.base) @ columns @ torch.linalg.solve(rows.mT @ columns, rows.mT)
        error = (moved - result).square().mean().sqrt()
        # An orthogonal one moves the phase along; the direction written is right in all.
        assert name.endswith("U = V") or error < 0.1, name
        if name.startswith("means"):
            cosine = torch.nn.functional.cosine_similarity(rows[:, 0], directions[1], dim=0).abs()
            assert cosine > 0.999, name


def test_the_regression_is_the_best_exchange_of_its_rank_on_the_mean_states():
    """Against gradient descent on the same squared loss, from where it starts: no step makes it smaller."""
    pairs, _ = seen(planted(torch.randn(2, WIDTH, dtype=torch.double), noise=0.5))
    mean, known = natural_means(pairs)
    assert known.all()

    def loss(read, write):
        return (pairs.base + (pairs.source - pairs.base) @ read @ write.mT - mean).square().mean()

    moved, target = pairs.source - pairs.base, mean - pairs.base
    full = torch.linalg.lstsq(moved, target).solution
    rows = projections(pairs, 2)["regression, ridge 0.0001"][1]
    best = loss(full @ rows, rows)
    read, write = (full @ rows).clone().requires_grad_(), rows.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([read, write], max_iter=50, line_search_fn="strong_wolfe")

    def step():
        optimiser.zero_grad()
        value = loss(read, write)
        value.backward()
        return value

    optimiser.step(step)
    assert best.item() == pytest.approx(loss(read, write).item(), rel=1e-4)


def test_of_orthogonal_projections_none_is_nearer_to_the_mean_states_than_the_regressions():
    pairs, _ = seen(planted(torch.randn(2, WIDTH, dtype=torch.double), noise=0.3))
    mean, _ = natural_means(pairs)

    def loss(rows):
        return (pairs.base + (pairs.source - pairs.base) @ rows @ rows.mT - mean).square().mean()

    best = loss(projections(pairs, 2)["regression, U = V"][1])
    others = [torch.linalg.qr(torch.randn(WIDTH, 2, dtype=torch.double)).Q for _ in range(50)]
    others += [rows for _, rows in projections(pairs, 2).values()]
    assert all(best <= loss(rows) + 1e-12 for rows in others)


def test_mean_states_are_those_of_the_same_values():
    pairs, _ = seen(planted(torch.randn(2, WIDTH, dtype=torch.double), noise=0.3), n=12, values=40)
    mean, known = natural_means(pairs)
    both, values = torch.cat([pairs.base, pairs.source]), torch.cat([pairs.base_values, pairs.source_values])
    for row in range(12):
        same = (values == pairs.wanted[row]).all(1)
        assert bool(known[row]) == bool(same.any())
        if same.any():
            torch.testing.assert_close(mean[row], both[same].mean(0))
    assert not known.all()  # 24 states do not have all that 12 pairs ask for


def test_several_blocks_and_all_variables_together_have_starts(directions):
    pairs, _ = seen(planted(directions, noise=0.01), blocks=((0,), (1,)))
    for columns, rows in projections(pairs, 2).values():
        assert columns.shape == rows.shape == (WIDTH, 4)
    whole, result = seen(planted(directions, noise=0.01), blocks=((0, 1),))
    columns, rows = projections(whole, 2)["means, U = V"]
    assert (whole.base + (whole.source - whole.base) @ columns @ rows.mT - result).square().mean() < 1e-2


def test_where_the_means_span_less_the_quietest_directions_follow(directions):
    noise = torch.linspace(0.1, 0.8, WIDTH).double()
    pairs, _ = seen(lambda values, g: values.double() @ directions + noise * torch.randn(len(values), WIDTH).double(),
                    values=2)  # fmt: skip
    found = moving_directions(pairs, 0, WIDTH)
    torch.testing.assert_close(found.mT @ found, torch.eye(WIDTH, dtype=torch.double))
    varies = (pairs.states @ found).var(0)
    assert varies[4] < varies[-1]


def test_what_would_blow_differences_up_is_no_start():
    """A value that never varies moves nothing: U and V are chosen by noise."""
    pairs, _ = seen(planted(torch.randn(2, WIDTH, dtype=torch.double)), values=1)
    for columns, rows in projections(pairs, 3).values():
        assert torch.linalg.svdvals(rows.mT @ columns).min() > STEEPEST


def test_the_same_start_is_kept_once():
    one, other = {"a": torch.ones(2)}, {"a": torch.zeros(2)}
    assert list(distinct([("first", one), ("second", other), ("third", {"a": torch.ones(2)})])) == ["first", "second"]
