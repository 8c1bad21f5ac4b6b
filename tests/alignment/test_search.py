import torch

from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.alignment.search import correct, search
from numsym.alignment.settings import SearchSettings
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


def test_what_it_keeps_is_the_running_mean_of_the_steps(counter, small_task):
    counter.requires_grad_(False)
    pairs = interchange_pairs(
        small_task, small_task.program(), ("count",), 100, generator=torch.Generator().manual_seed(1)
    )
    seen = []

    def kept(**settings):
        engine = RecurrentEngine(counter, Site(), [build("linear", 16, 8, 1, 0)])
        seen.append(engine.parameters()[0].detach().clone())
        same = {"schedule": "constant", "wrong_share": 0.0, "stop_at": 1.0, "patience": 99}
        asked = SearchSettings(max_steps=20, **same, **settings)
        search(engine, [pairs], [pairs], [0], asked, lambda *_: seen.append(engine.parameters()[0].detach().clone()))
        return engine.snapshot(0)["matrix"]

    kept(average=0, check_every=1)
    start, *steps = list(seen)
    mean = start.clone()
    for number, after in enumerate(steps, 1):
        mean = mean.lerp(after, max(0.5, 1 / (number + 1)))
    assert len(steps) == 20
    torch.testing.assert_close(kept(average=0.5, check_every=20), mean[0])
    assert (steps[-1][0] - mean[0]).abs().max() > 1e-3
