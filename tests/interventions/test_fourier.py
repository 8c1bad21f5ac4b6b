import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from numsym._pyvene import load, pv, save
from numsym.errors import InvalidArgumentError, NumsymError, UnknownNameError
from numsym.interventions import FourierSubspaceIntervention
from numsym.models import RecurrentConfig, RecurrentLM

WIDTH, PERIOD, COUNT = 24, 6, 60


def embeddings(seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    """A line, circles of period 6 (all harmonics) and one of period 7, in directions that are not orthogonal."""
    generator = torch.Generator().manual_seed(seed)
    n = torch.arange(COUNT, dtype=torch.float64)
    columns = [torch.ones(COUNT, dtype=torch.float64), n / COUNT, (2 * math.pi * n / 7).cos()]
    columns += [f(2 * math.pi * k * n / PERIOD) for k in (1, 2) for f in (torch.cos, torch.sin)]
    columns += [(math.pi * n).cos()]
    directions = torch.randn(len(columns), WIDTH, generator=generator, dtype=torch.float64)
    return (torch.stack(columns, dim=1) @ directions).to(dtype)


def fitted(**options) -> FourierSubspaceIntervention:
    # Whole periods of both 6 and 7, so that the circle of 7 leaves no trace in the fit of 6.
    return (
        FourierSubspaceIntervention(period=PERIOD, embed_dim=WIDTH, **options)
        .double()
        .fit(embeddings()[:42], torch.arange(42))
    )


def only(columns: slice) -> torch.Tensor:
    """The part of the embeddings that some of the columns make."""
    generator = torch.Generator().manual_seed(0)
    n = torch.arange(COUNT, dtype=torch.float64)
    waves = [torch.ones(COUNT, dtype=torch.float64), n / COUNT, (2 * math.pi * n / 7).cos()]
    waves += [f(2 * math.pi * k * n / PERIOD) for k in (1, 2) for f in (torch.cos, torch.sin)]
    waves += [(math.pi * n).cos()]
    directions = torch.randn(len(waves), WIDTH, generator=generator, dtype=torch.float64)
    return torch.stack(waves, dim=1)[:, columns] @ directions[columns]


def test_the_fit_finds_the_planted_directions():
    intervention = fitted()
    assert intervention.rank == 5
    assert intervention.harmonics == (1, 2, 3)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(8, WIDTH, generator=generator, dtype=torch.float64)[3:]
    torch.testing.assert_close(intervention.weight, directions, atol=0.06, rtol=0)


def periodic(part: torch.Tensor, s: int) -> torch.Tensor:
    """Rotating periodic embeddings by s gives those of n + s."""
    return part.roll(-s, dims=0)


@pytest.mark.parametrize("shift", [0, 1, 4, 6, -2])
def test_rotating_adds_the_shift_modulo_the_period(shift):
    states = only(slice(3, 8))
    intervention = FourierSubspaceIntervention(period=PERIOD, operation="rotate", shift=shift).fit(
        states, torch.arange(COUNT)
    )
    torch.testing.assert_close(intervention(states), periodic(states, shift))
    rows = [[s % 5] for s in range(COUNT)]
    own = intervention(states, None, rows)
    expected = torch.stack([periodic(states, s % 5)[s] for s in range(COUNT)])
    torch.testing.assert_close(own, expected)


def test_ablating_leaves_no_residue_and_exchanging_takes_the_sources():
    states = only(slice(3, 8)) + 5
    intervention = FourierSubspaceIntervention(period=PERIOD, operation="ablate").fit(states, torch.arange(COUNT))
    torch.testing.assert_close(intervention(states), states.mean(dim=0).expand_as(states))
    intervention.set_operation("exchange")
    torch.testing.assert_close(intervention(states, states.flip(0)), states.flip(0))


def test_what_is_orthogonal_to_the_subspace_stays():
    intervention = fitted(operation="rotate", shift=2)
    states = torch.randn(9, WIDTH, dtype=torch.float64)
    change = intervention(states) - states
    outside = torch.eye(WIDTH, dtype=torch.float64) - intervention.reader @ intervention.weight
    torch.testing.assert_close(change @ outside, torch.zeros_like(change), atol=1e-9, rtol=0)
    for operation, source in (("ablate", None), ("exchange", torch.randn(9, WIDTH, dtype=torch.float64))):
        change = intervention.set_operation(operation)(states, source) - states
        torch.testing.assert_close(change @ outside, torch.zeros_like(change), atol=1e-9, rtol=0)


def test_harmonics_can_be_chosen_by_hand_or_by_power():
    n = torch.arange(COUNT)
    one = FourierSubspaceIntervention(period=PERIOD).fit(embeddings(), n, harmonics=[2])
    assert (one.rank, one.harmonics) == (2, (2,))
    states = only(slice(3, 5)) + 0.01 * torch.randn(COUNT, WIDTH, dtype=torch.float64)
    strong = FourierSubspaceIntervention(period=PERIOD).fit(states, n, strongest=1)
    assert strong.harmonics == (1,)


def test_the_control_has_the_same_rank_and_another_subspace():
    intervention = fitted(operation="rotate", shift=3)
    control = intervention.random(torch.Generator().manual_seed(0))
    assert (control.rank, control.operation, control.shift) == (5, "rotate", 3)
    torch.testing.assert_close(control.weight @ control.reader, torch.eye(5, dtype=torch.float64))
    overlap = torch.linalg.svdvals(control.weight @ intervention.reader @ intervention.weight)
    assert float(overlap.min()) < 0.5
    again = intervention.random(torch.Generator().manual_seed(0))
    assert torch.equal(again.weight, control.weight)


def models():
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=11, n_positions=8, n_embd=WIDTH, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None
        )
    ).eval()
    recurrent = RecurrentLM(RecurrentConfig(vocab_size=11, hidden_size=WIDTH)).eval()
    return [(gpt2, "block_output"), (recurrent, "state")]


@pytest.mark.parametrize(("model", "component"), models(), ids=["gpt2", "gru"])
@pytest.mark.parametrize("operation", ["exchange", "ablate", "rotate"])
def test_pyvene_applies_it_at_a_position_and_saves_and_loads_it(model, component, operation, tmp_path):
    intervention = fitted(operation=operation, shift=2).float()
    place = {"layer": 0, "component": component, "unit": "pos"}
    config = pv.IntervenableConfig(representations=[{**place, "intervention": intervention}])
    intervenable = pv.IntervenableModel(config, model)
    base, source = torch.randint(0, 11, (2, 5, 6))
    where = [[[2]] * 5]

    def answers(intervenable):
        if operation == "exchange":
            return intervenable(
                base={"input_ids": base},
                sources=[{"input_ids": source}],
                unit_locations={"sources->base": (where, where)},
            )[1].logits
        return intervenable(base={"input_ids": base}, unit_locations={"base": where})[1].logits

    changed = answers(intervenable)
    plain = model(input_ids=base)["logits"]
    torch.testing.assert_close(changed[:, :2], plain[:, :2])
    assert not torch.allclose(changed[:, 2:], plain[:, 2:], atol=1e-5)
    save(intervenable, tmp_path)
    again = load(tmp_path, model)
    loaded = next(iter(again.interventions.values()))
    assert (loaded.period, loaded.operation, loaded.shift, loaded.harmonics) == (PERIOD, operation, 2, (1, 2, 3))
    torch.testing.assert_close(answers(again), changed, atol=0, rtol=0)


def test_a_config_alone_builds_it_with_latent_dim_as_the_period():
    model, component = models()[0]
    config = pv.IntervenableConfig(
        representations=[
            {"layer": 1, "component": component, "unit": "pos", "latent_dim": 7,
             "intervention_type": FourierSubspaceIntervention}
        ]
    )  # fmt: skip
    intervention = next(iter(pv.IntervenableModel(config, model).interventions.values()))
    assert intervention.period == 7
    with pytest.raises(NumsymError, match="no subspace yet"):
        intervention(torch.randn(2, WIDTH), torch.randn(2, WIDTH))
    assert intervention.fit(embeddings(), torch.arange(COUNT)).rank == 6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_bases_type_comes_back(dtype):
    intervention = fitted(operation="ablate").float()
    assert intervention(torch.randn(3, WIDTH).to(dtype)).dtype == dtype
    assert FourierSubspaceIntervention(period=PERIOD).fit(embeddings().to(dtype), torch.arange(COUNT)).rank == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perod": 3}, "unknown argument perod"),
        ({"period": 1}, "period=1 is not allowed"),
        ({"period": 3, "latent_dim": 4}, "period=3 and latent_dim=4"),
    ],
)
def test_bad_constructor_arguments_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        FourierSubspaceIntervention(**options)


@pytest.mark.parametrize(
    ("states", "numbers", "options", "message"),
    [
        (torch.randn(12, 3), range(11), {}, "one integer for each"),
        (torch.full((12, 3), float("nan")), range(12), {}, "NaN or infinite"),
        (torch.randn(12, 3), [0, 1, 2, 3] * 3, {}, "only 4 of the 6 residues mod 6 occur"),
        (torch.randn(12, 3), range(12), {"harmonics": [4]}, r"harmonics=\(4,\) is not allowed"),
        (torch.randn(12, 3), range(12), {"harmonics": [1, 1]}, "different integers of 1..3"),
        (torch.randn(12, 3), range(12), {"strongest": 0}, "strongest=0 is not allowed"),
    ],
)
def test_bad_fits_are_refused(states, numbers, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        FourierSubspaceIntervention(period=PERIOD).fit(states, list(numbers), **options)


def test_bad_use_is_refused():
    with pytest.raises(UnknownNameError, match="ablate, exchange, rotate"):
        FourierSubspaceIntervention(operation="turn")
    with pytest.raises(InvalidArgumentError, match="period=None is not allowed"):
        FourierSubspaceIntervention().fit(torch.randn(12, 3), range(12))
    with pytest.raises(InvalidArgumentError, match="width 5 is not allowed"):
        fitted()(torch.randn(2, 5), torch.randn(2, 5))
    with pytest.raises(InvalidArgumentError, match="needs a source"):
        fitted()(torch.randn(2, WIDTH))
