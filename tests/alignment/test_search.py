import pytest
import torch

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.one_model import OneModel
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import SearchSettings, _Order, correct, search
from numsym.alignment.subject import train
from numsym.models.site import Site


def run(counter, task, **settings):
    counter.requires_grad_(False)
    engine = RecurrentEngine(counter, Site(), [build("linear", 16, 8, 1, seed) for seed in (0, 1)])
    draw = [
        interchange_pairs(task, task.program(), ("count",), n, generator=torch.Generator().manual_seed(n))
        for n in (1000, 300)
    ]
    runs = search(engine, [draw[0]] * 2, [draw[1]] * 2, [0, 1], SearchSettings(**settings))
    return engine, draw[1], runs


def test_it_finds_the_count_of_a_trained_network_and_keeps_the_best(counter, small_task):
    engine, valid, runs = run(counter, small_task, max_steps=600, check_every=50, learning_rate=5e-3)
    for index, progress in enumerate(runs):
        assert progress.best_iia == max(record["iia"] for record in progress.records) > 0.9
        assert correct(engine, index, engine.prepare(valid), 300).float().mean().item() == progress.best_iia
        assert progress.records[0]["loss"] > progress.records[-1]["loss"]


def test_it_stops_when_the_goal_is_reached_or_nothing_improves(counter, small_task):
    _, _, easy = run(counter, small_task, max_steps=100, check_every=5, stop_at=0.01)
    assert [(p.steps, p.converged) for p in easy] == [(5, True)] * 2
    _, _, stuck = run(counter, small_task, max_steps=100, check_every=5, patience=2, learning_rate=0.0)
    assert [(p.steps, p.converged) for p in stuck] == [(15, False)] * 2


def test_an_epoch_visits_every_pair_once():
    order = _Order(10, 3, seed=0)
    epoch = torch.cat([order.next() for _ in range(3)])
    assert len(set(epoch.tolist())) == 9
    assert len(_Order(2, 128, seed=0).next()) == 2


def test_rows_that_were_wrong_come_again_until_they_are_right():
    order = _Order(100, 10, seed=0, wrong_share=0.5)
    first = order.next()
    order.see(first, torch.arange(10) >= 3)
    assert not set(order.next().tolist()) & set(first.tolist())  # not before they are looked at
    order.look()
    wrong = set(first[:3].tolist())
    batch = order.next()
    assert len(batch) == 10
    assert set(batch[7:].tolist()) == wrong
    order.see(batch, torch.ones(10, dtype=torch.bool))
    order.look()
    assert not len(order.wrong)
    order.see(torch.arange(20), torch.zeros(20, dtype=torch.bool))
    order.look()
    again = order.next()
    assert set(again[5:].tolist()) <= set(range(20))  # at most the share
    assert len(again) == 10


def begun(counter, task, n=600, **settings):
    """A search whose starts are fitted, of two functions, and what it is over."""
    subject = OneModel(counter, task, Site(), PairCounts(n, 200, 200), None, "auto")
    wanted = [Hypothesis(subspace_dim=6, alignment=name).checked(task, 16) for name in ("orthogonal", "low_rank")]
    with frozen(counter):
        drawn = [subject.draw(one) for one in wanted]
        return train(subject, wanted, drawn, SearchSettings(**settings)), drawn


def test_the_best_starts_are_searched_from_and_no_search_ends_below_its_start(counter, small_task):
    """Steps so large that they spoil everything: what was best before them is kept."""
    searched, drawn = begun(counter, small_task, max_steps=4, check_every=2, learning_rate=10.0)
    for index, run in enumerate(searched.progress):
        assert run.start == max(run.starts, key=lambda name: run.starts[name])
        assert run.best_iia == run.starts[run.start] == run.records[0]["iia"] > run.starts["random"] + 0.2
        assert run.records[0]["step"] == 0
        assert len(run.ends) == len({name.partition(",")[0] for name in run.ends}) == 2  # of two kinds
        assert run.start in run.ends
        right = searched.right(index, drawn[index].validation)
        assert right.float().mean().item() == pytest.approx(run.best_iia)


def test_steps_from_a_start_improve_it(counter, small_task):
    searched, _ = begun(counter, small_task, max_steps=100, check_every=25)
    for run in searched.progress:
        assert max(run.ends.values()) == run.best_iia > run.starts[run.start]


def test_random_starts_alone_are_the_search_as_it_was(counter, small_task):
    """The same records as a search that was told of no starts at all."""
    counter.requires_grad_(False)
    searched, drawn = begun(counter, small_task, max_steps=6, check_every=3, starts="random")
    engine = RecurrentEngine(counter, Site(), [build(name, 16, 6, 1, 0) for name in ("orthogonal", "low_rank")])
    pairs = [d.train for d in drawn], [d.validation for d in drawn]
    plain = search(engine, *pairs, [0, 0], SearchSettings(max_steps=6, check_every=3))
    assert [run.records for run in searched.progress] == [run.records for run in plain]
    assert [(run.start, run.starts) for run in searched.progress] == [("random", {})] * 2


def test_one_try_at_the_goal_ends_the_others(counter, small_task):
    searched, _ = begun(counter, small_task, max_steps=50, check_every=5, stop_at=0.0)
    assert [(run.steps, run.converged) for run in searched.progress] == [(0, True)] * 2


def test_a_row_is_taken_again_where_it_was_wrong_in_any_direction():
    order = _Order(4, 4, 0, wrong_share=0.5)
    order.see(torch.tensor([2, 0]), torch.tensor([True, True, False, True]))  # two directions, one behind the other
    order.look()
    assert order.wrong.tolist() == [2]
