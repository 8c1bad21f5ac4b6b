import importlib
import runpy
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from numsym import Run, align_many
from numsym.alignment import Hypothesis, PairCounts, Site, measured_pairs, right_of
from numsym.models import (
    RecurrentConfig,
    RecurrentLM,
    TransformerConfig,
    TransformerLM,
    counting_transformer,
    load,
)
from numsym.storage import read_json
from numsym.studies import site_sweep
from numsym.studies.site_sweep import FEW, SiteSweep
from numsym.tasks import AdditionPrompts, MultiObject, Parity

TASK = MultiObject(counts=range(1, 5), held_out=())
ASKED = {name: Hypothesis(variable=name, subspace_dim=4) for name in ("count", "phase")}
COUNTS = PairCounts(train=40, validation=20, test=60)
OPTIONS = {"search": {"max_steps": 2, "check_every": 2}, "pairs": COUNTS, "controls": ("floor",)}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    shape = {"vocab_size": TASK.vocab_size, "hidden_size": 12, "num_heads": 2, "num_layers": 2}
    return TransformerLM(TransformerConfig(**shape)).eval()


@pytest.fixture(scope="module")
def sweep(model):
    return site_sweep(model, TASK, ASKED, position_bin=3, **OPTIONS)


def test_each_site_has_what_align_many_finds_there(model, sweep):
    assert [str(site) for site in sweep.sites] == ["block_input:0", "block_output:0", "block_output:1"]
    alone = align_many(model, TASK, ASKED, site="block_output:0", **OPTIONS)
    there = [sweep.at(name)[Site("block_output", 0)] for name in ASKED]
    assert [result.to_dict() for result in there] == [result.to_dict() for result in alone]
    assert [(row["site"], row["hypothesis"]) for row in sweep.rows()][1:3] == [
        ("block_input:0", "phase"), ("block_output:0", "count"),
    ]  # fmt: skip
    assert {row["engine"] for row in sweep.rows()} == {"resumed"}


def test_the_map_is_the_share_at_each_position():
    asked = {name: replace(one, subspace_dim=1) for name, one in ASKED.items()}
    sweep = site_sweep(counting_transformer(TASK.vocabulary), TASK, asked, position_bin=3, **OPTIONS)
    assert {0 < share.value < 1 for found in sweep.map("phase").values() for share in found.values()} == {True, False}
    for name, hypothesis in asked.items():
        for site, result in sweep.at(name).items():
            pairs = measured_pairs(TASK, hypothesis, COUNTS)
            right = right_of(result, pairs)
            want = {}
            for at, one in zip(pairs.base_at.tolist(), right.tolist(), strict=True):
                want.setdefault(at // 3 * 3, []).append(one)
            found = sweep.map(name)[site]
            assert {start: (share.value, share.n) for start, share in found.items()} == {
                start: (pytest.approx(sum(ones) / len(ones)), len(ones)) for start, ones in want.items()
            }


def test_an_interrupted_sweep_goes_on_site_by_site(model, sweep, tmp_path, monkeypatch):
    align = importlib.import_module("numsym.alignment.align")
    search, asked = align.find, []

    def broken_at_the_third_site(subject, *args, **options):
        asked.append(str(subject.site))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return search(subject, *args, **options)

    def measure():
        with Run(tmp_path / "run", track=False, quiet=True) as run:
            return site_sweep(model, TASK, ASKED, position_bin=3, run=run, **OPTIONS)

    monkeypatch.setattr(align, "find", broken_at_the_third_site)
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert not (tmp_path / "run" / "results.json").exists()
    assert measure().to_dict() == sweep.to_dict()
    assert asked == ["block_input:0", "block_output:0", "block_output:1", "block_output:1"]
    read = SiteSweep.from_dict(read_json(tmp_path / "run" / "results.json"))
    assert read == sweep
    assert read.map("count") == sweep.map("count")
    assert (tmp_path / "run" / "site_sweep.png").stat().st_size > 10_000


def test_another_task_is_searched_for_what_it_names_in_every_layer():
    task = Parity(counts=range(1, 9))
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=4, num_layers=2))
    sweep = site_sweep(model, task, **{**OPTIONS, "pairs": {"train": 40, "validation": 10, "test": 10}})
    assert list(sweep.results) == ["parity"]
    assert sweep.sites == (Site("state", 0), Site("state", 1))


def test_what_is_not_allowed_is_said_before_the_first_search(model, tmp_path):
    for changes, message in (
        ({"position_bin": 0}, "position_bin=0 is not allowed"),
        ({"sites": ["mlp_activation", "block_output:5"]}, "layer=5 is not allowed"),
        (
            {"hypotheses": [Hypothesis(subspace_dim=13)], "sites": ["mlp_activation", "block_output"]},
            "subspace_dim=13 is not allowed",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            site_sweep(model, TASK, run=Run(tmp_path / "run", track=False, quiet=True), **{**OPTIONS, **changes})
    assert not (tmp_path / "run").exists()


def test_the_cells_are_the_shares_of_the_map(sweep):
    figure = sweep.figure()
    for axes, name in zip(figure.axes, sweep.results, strict=False):
        drawn = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
        shares = sweep.map(name)
        starts = sorted({start for found in shares.values() for start in found})
        assert drawn.shape == (3, len(starts) + 1)
        for row, (site, found) in enumerate(shares.items()):
            for column, start in enumerate(starts):
                share = found.get(start)
                if share is None or share.n < FEW:
                    assert np.isnan(drawn[row, column])
                else:
                    assert drawn[row, column] == share.value
            assert drawn[row, -1] == sweep.at(name)[site].iia
        assert axes.get_title() == name
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [str(site) for site in sweep.sites]
    plt.close(figure)


def prompts(task_of):
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "huggingface.py"), run_name="example")
    zoo = runpy.run_path(str(Path(__file__).parents[1] / "models" / "hugging_face.py"))
    return load(zoo["small"]("gpt2")), task_of(
        tokenizer=example["own_tokenizer"](), largest=4, shots=1, only_right=False
    )


def test_each_token_of_a_prompt_has_a_search_of_its_own(tmp_path):
    model, task = prompts(AdditionPrompts)
    asked = {"first": Hypothesis("prompt_operands", "first", subspace_dim=4)}
    options = OPTIONS | {"sites": ["block_output:1", "attention_value_output:2.3"]}
    with Run(tmp_path / "run", track=False, quiet=True) as run:
        sweep = site_sweep(model, task, asked, tokens="all", run=run, **options)
    a, answer = (int(task.landmarks(task.sample(1).input_ids)[name]) for name in ("a", "last"))
    answer += 1
    assert sweep.tokens == tuple(range(a, answer))
    assert sweep.written == ("a", "+", "b", "=")
    (alone,) = align_many(model, task, asked, site="attention_value_output:2.3", positions=[a + 1], **{
        name: value for name, value in options.items() if name != "sites"
    })  # fmt: skip
    there = sweep.at("first", a + 1)[Site("attention_value_output", 2, 3)]
    assert there.to_dict() == alone.to_dict()
    assert sweep.map("first")[there.site][a + 1] == there.test.iia
    assert SiteSweep.from_dict(read_json(tmp_path / "run" / "results.json")) == sweep
    figure = sweep.figure()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [
        f"{text}\n{token}" for text, token in zip(sweep.written, sweep.tokens, strict=True)
    ]
    drawn = figure.axes[0].images[0].get_array()
    assert drawn.tolist() == [[share.value for share in row.values()] for row in sweep.map("first").values()]
    plt.close(figure)
    (chart,) = sweep.charts().values()
    axis = chart.to_dict()["encoding"]["x"]
    assert axis["sort"] == [f"{token} {text!r}" for token, text in zip(sweep.tokens, sweep.written, strict=True)]


def test_tokens_go_by_the_names_of_the_task(tmp_path):
    model, task = prompts(AdditionPrompts)
    asked = {"sum": Hypothesis("prompt_sum", "sum", subspace_dim=4)}
    sweep = site_sweep(model, task, asked, sites=["block_output:0"], tokens=["operator", "last"], **OPTIONS)
    assert sweep.written == ("+", "=")
    assert [one.tokens for one in sweep.results["sum"]] == [("operator",), ("last",)]
    for changes, message in (
        ({"tokens": ["equals"]}, "unknown position of addition_prompts 'equals': choose one of a, b, last, operator"),
        ({"tokens": [40]}, "40 is outside of the shortest trial"),
        (
            {"tokens": [int(task.landmarks(task.sample(1).input_ids)["last"]) + 1]},
            "addition_prompts allows no exchange there or later",
        ),
        ({"tokens": [1], "positions": {"sum": 1}}, "not allowed together with tokens"),
    ):
        with pytest.raises(ValueError, match=message):
            site_sweep(model, task, asked, run=Run(tmp_path / "run", track=False, quiet=True), **OPTIONS | changes)
