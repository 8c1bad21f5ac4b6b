import matplotlib.pyplot as plt
import pytest

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.lab.run import Run
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.models.adders import build_modular
from numsym.studies import modular_causal
from numsym.tasks import ModularAddition
from numsym.training.modular import ModularTrainingSettings, train_modular

QUICK = {"max_steps": 300, "check_every": 50, "patience": 4}
TINY = {
    "variables": ("sum",), "sites": ("mlp_output",), "alignments": ("linear",), "subspace_dim": 4,
    "search": {"max_steps": 20}, "pairs": {"train": 300, "validation": 50, "test": 60}, "controls": ("floor",),
}  # fmt: skip


@pytest.fixture(scope="module")
def adder():
    task = ModularAddition(p=11, fraction=1)
    model = build_modular(task, alpha=0, hidden_size=32)
    train_modular(model, task, ModularTrainingSettings(epochs=400, log_every=400, weight_decay=0.5))
    return model


def test_an_operand_is_in_its_embedding_and_the_sum_is_not(adder):
    found = modular_causal(
        adder, variables=("sum", "first"), sites=("embeddings",), alignments=("linear",), fraction=1, search=QUICK,
        pairs={"train": 600}, controls=("floor",),
    )  # fmt: skip
    rows = found.rows()
    assert [(row["variable"], row["position"], row["function"]) for row in rows] == [
        ("sum", "last", "linear"),
        ("first", "a", "linear"),
    ]
    assert rows[0]["iia"].value < 0.5
    assert rows[1]["iia"].value > 0.9
    assert all(row["floor"].value < 0.3 for row in rows)
    assert rows[0]["heldout_iia"] is None
    assert [row["held out"] for row in found.tables()[found.title]] == ["-", "-"]


def test_the_sum_is_in_the_mlp_output(adder):
    found = modular_causal(
        adder, variables=("sum",), sites=("mlp_output",), alignments=("linear",), search=QUICK, controls=(),
        pairs={"train": 2000},
    )  # fmt: skip
    (row,) = found.rows()
    assert row["iia"].value > 0.9
    assert row["position"] == "last"
    assert row["heldout_iia"] is not None


def test_a_run_is_gone_on_with_search_by_search(tmp_path):
    model = build_modular(ModularAddition(p=7), hidden_size=16)
    few = {**TINY, "variables": ("sum", "second")}
    modular_causal(model, **TINY, run=Run(tmp_path / "run", track=False, quiet=True).within("adder"))
    part = tmp_path / "run" / "adder" / "alignments" / "sum_mlp_output_linear" / "result.json"
    made = part.stat().st_mtime_ns
    both = modular_causal(model, **few, run=Run(tmp_path / "run", track=False, quiet=True).within("adder"))
    assert part.stat().st_mtime_ns == made
    assert both.to_dict() == modular_causal(model, **few).to_dict()
    assert list(both.alignments) == ["sum_mlp_output_linear", "second_mlp_output_linear"]


def test_the_points_are_the_shares():
    model = build_modular(ModularAddition(p=7), hidden_size=16)
    found = modular_causal(model, **{**TINY, "sites": ("embeddings", "mlp_output"), "controls": ("permuted",)})
    figure = found.figure()
    (panel,) = figure.axes
    iia, permuted = (list(container[0].get_ydata()) for container in panel.containers)
    assert iia == [row["iia"].value for row in found.rows()]
    assert permuted == [row["permuted"].value for row in found.rows()]
    plt.close(figure)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variables": ("product",)}, UnknownNameError, "unknown variable 'product'"),
        ({"sites": ("logits",)}, UnknownNameError, "unknown site 'logits'"),
        ({"sites": ()}, InvalidArgumentError, r"sites=\(\) is not allowed"),
        ({"alignments": ("round",)}, UnknownNameError, "unknown alignment 'round'"),
        ({"subspace_dim": 17}, InvalidArgumentError, "subspace_dim=17 is not allowed: it must lie in 1..16"),
        ({"search": {"max_steps": 0}}, InvalidArgumentError, "max_steps=0 is not allowed"),
    ],
)
def test_what_is_refused_leaves_no_folder(options, error, message, tmp_path):
    model = build_modular(ModularAddition(p=7), hidden_size=16)
    with pytest.raises(error, match=message):
        modular_causal(model, **{**TINY, **options}, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()


def test_other_models_are_refused():
    with pytest.raises(
        InvalidArgumentError, match="model of type LinearModularModel is not allowed: it must be a trans"
    ):
        modular_causal(build_modular(ModularAddition(p=7), kind="A", hidden_size=8))
    with pytest.raises(InvalidArgumentError, match="model of type RecurrentLM is not a modular adder"):
        modular_causal(RecurrentLM(RecurrentConfig(hidden_size=4)))
