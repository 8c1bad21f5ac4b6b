"""The split of a token's logit: an identity for every architecture, and known slopes on a hand-built counter."""

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import StrengthValue, strength_value
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM, counting_transformer
from numsym.models.counters import SHARPNESS

TOKENS, KINDS = 9, ("low", "high", "never")


@pytest.fixture
def given(generator):
    """Random tokens of kinds low and high, with two predicting positions a row."""
    ids = torch.randint(TOKENS, (12, 10), generator=generator)
    predicting = torch.zeros(12, 10, dtype=torch.bool)
    predicting[:, [4, 9]] = True
    return ids, predicting, (ids > 4).long(), KINDS


def model(**settings):
    torch.manual_seed(0)
    made = TransformerLM(TransformerConfig(hidden_size=12, num_layers=2, num_heads=2, max_positions=40, **settings))
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:  # biases and scales too: they start at 0 and 1, where mistakes hide
            torch.nn.init.normal_(parameter, 1.0 if "ln" in name else 0.0, 0.3)
    return made.eval()


@pytest.mark.parametrize(
    ("positions", "norm"), [("rotary", "rms"), ("learned", "layer"), ("none", "none"), ("rotary", "layer")]
)
@pytest.mark.parametrize("against", [None, 2])
def test_all_terms_sum_to_the_logit(positions, norm, against, given):
    lm = model(positions=positions, norm=norm)
    found = strength_value(lm, *given, token=1, against=against)
    assert found.error < 1e-4
    # The same sum from outside: means over predicting positions.
    ids, predicting = given[:2]
    with torch.no_grad():
        logits = lm(ids).logits[predicting]
    want = logits[:, 1] - (0 if against is None else logits[:, against])
    total = sum(found.rest.values()) + float(found.contribution.sum()) / 24
    assert total == pytest.approx(want.mean().item(), abs=1e-4)
    assert found.contribution.abs().max() > 0.01
    assert found.weight[0, 0].sum().item() == pytest.approx(24, rel=1e-5)


def test_the_counting_transformers_strengths_are_its_tokens_values():
    from numsym.studies.strength_value import KINDS, kinds
    from numsym.tasks import MultiObject

    task = MultiObject(counts=range(1, 7), void_prob=0.2)
    batch = task.sample(12, generator=torch.Generator().manual_seed(0))
    lm = counting_transformer(task.vocabulary)
    ids, predicting, kind = batch.input_ids[:, :-1], batch.predictable[:, 1:], kinds(task, batch)[:, :-1]
    found = strength_value(lm, ids, predicting, kind, KINDS, token=task.vocabulary.eos)
    slopes = {name: slope.item() / SHARPNESS for name, slope in found.strength.items()}
    want = {"demonstration": -1, "response": 1, "trigger": 0, "begin": 0.5, "void": 0}
    assert slopes == pytest.approx(want, abs=1e-4)
    assert found.pushes["demonstration"] < 0 < found.pushes["response"]
    assert found.rest["embedding"] == found.rest["mlp"] == 0


def test_kinds_that_do_not_occur_have_no_slope(given):
    found = strength_value(model(), *given, token=1)
    assert list(found.strength) == list(found.pushes) == ["low", "high"]
    a, c = found.weight[1, 0][found.kind == 1], found.contribution[1, 0][found.kind == 1]
    assert found.strength["high"][1, 0].item() == pytest.approx(float((a @ c) / (a @ a)), rel=1e-5)
    heads = [row["head"] for row in found.rows()]
    assert heads == ["0.0", "0.1", "1.0", "1.1", "summed"]
    assert found.rows()[-1]["low"] == found.pushes["low"]


def test_there_is_a_panel_a_head_with_a_line_a_kind_also_when_it_was_saved(given, tmp_path):
    found = strength_value(model(), *given, token=1)
    found.save(tmp_path / "saved")
    read = StrengthValue.load(tmp_path / "saved")
    assert torch.equal(read.contribution, found.contribution)
    figure = read.figure()
    assert [axes.get_title() for axes in figure.axes] == [f"layer {i}, head {j}" for i in range(2) for j in range(2)]
    slope = found.strength["high"][1, 0].item()
    line = figure.axes[2].lines[1].get_xydata()
    assert abs(line[1, 1] - slope * line[1, 0]) < 1e-6
    plt.close(figure)
    # The numbers alone are read without the items, and there is nothing to draw.
    numbers = StrengthValue.from_dict(found.to_dict())
    assert numbers.rows() == found.rows()
    assert numbers.figure() is None
    with pytest.raises(InvalidArgumentError, match="holds no items"):
        numbers.shown("low")


def test_bad_input(given):
    ids, predicting, kind, names = given
    lm = model()
    with pytest.raises(
        ModelMismatchError, match="model of type RecurrentLM is not allowed: it must be a TransformerLM"
    ):
        strength_value(RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=4)), *given, token=1)
    with pytest.raises(InvalidArgumentError, match=r"token=9 is not allowed: it must lie in 0..8"):
        strength_value(lm, *given, token=9)
    with pytest.raises(InvalidArgumentError, match="against=-1 is not allowed"):
        strength_value(lm, *given, token=1, against=-1)
    with pytest.raises(InvalidArgumentError, match="predicting holds no position"):
        strength_value(lm, ids, predicting & False, kind, names, token=1)
