import pytest

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.one_model import OneModel
from numsym.alignment.search import search
from numsym.alignment.settings import SearchSettings
from numsym.alignment.subject import train
from numsym.models.site import Site


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
