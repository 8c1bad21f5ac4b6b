"""Markov tests of several networks on the same trials: does the state at one position decide what follows ([N])?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from numsym.alignment import Dependence, Following, Pairs, dependence, following, interchange_pairs, unexchanged
from numsym.alignment.markov import agrees, telling
from numsym.errors import InvalidArgumentError, check_at_least
from numsym.models import Site, hash_of, state_sites
from numsym.models.logits import check_vocabulary
from numsym.programs import FULL
from numsym.results import Result, brief
from numsym.run import NO_RUN, NoRun
from numsym.shares import Share
from numsym.studies.catalog import study
from numsym.tasks import TASKS, Task
from numsym.training import Evaluation, evaluate, rightly

STATE, CONTEXT = "up_down", "ctx_distr"
"""The program that says that behaviour follows the state, and the one that it is a sum over the context."""

NOTES = """\
The whole of a site exchanged at one position; later predictions only.
alike: pairs of two demonstration or of two response tokens. Up-Down says that
behaviour follows the source's state, Ctx-Distr that it stays with the base.
unlike: one token of each kind. Ctx-Distr says that the sum changes by two.
score: effect of the state / (effect of the state + of the context), alike
pairs; 1 for a Markovian network."""


@dataclass(frozen=True)
class AtSite:
    """What follows the exchange of one site, or of several together.

    Attributes:
        alike: on pairs of two demonstration or of two response tokens.
        unlike: on pairs of one token of each kind, the share that follows the source's state ("source"), and the share
            that follows the sum in which the token counts as the other kind ("token").
    """

    alike: Following
    unlike: dict[str, Share]


@dataclass(frozen=True, repr=False)
class MarkovTests(Result):
    """All Markov tests of one network.

    Attributes:
        following: by site, and "all layers".
        dependence: on "alike" pairs, and on "all".
        evaluation: how well the network does the task.
    """

    following: dict[str, AtSite]
    dependence: dict[str, Dependence]
    evaluation: Evaluation

    def rows(self) -> list[dict[str, Any]]:
        """A row for each site."""
        return [
            {
                "site": site,
                **{f"alike_{kind}": getattr(one.alike, kind) for kind in ("source", "base", "neither")},
                **{f"unlike_{kind}": one.unlike[kind] for kind in ("source", "token")},
            }
            for site, one in self.following.items()
        ]


@dataclass(frozen=True, repr=False)
class Markov(Result):
    """The Markov tests of several networks, by name."""

    networks: dict[str, MarkovTests]

    name: ClassVar[str] = "markov"
    notes: ClassVar[str] = NOTES

    def __getitem__(self, name: str) -> MarkovTests:
        return self.networks[name]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each network and site."""
        return [{"network": name, **row} for name, tests in self.networks.items() for row in tests.rows()]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What follows an exchange, by network and site; and the score with its two effects."""
        headings = ("network", "site", "alike: source", "base", "neither", "unlike: source", "Ctx-Distr")
        followed = [
            dict(zip(headings, (v if isinstance(v, str) else brief(v) for v in row.values()), strict=True))
            for row in self.rows()
        ]
        scores = [
            {
                "network": name,
                "score": (alike := tests.dependence["alike"]).score,
                "state": alike.state,
                "context": alike.context,
                "pairs": alike.n,
                "all pairs": tests.dependence["all"].score,
                "trials right": tests.evaluation.accuracy,
                "held-out": tests.evaluation.held_out,
            }
            for name, tests in self.networks.items()
        ]
        return {
            "what follows an exchange, in percent of the pairs": followed,
            "how far later predictions depend on one position's state": scores,
        }


@study(tasks="multi_object_transformer")
def markov(
    models: Mapping[str, nn.Module],
    task: Task,
    *,
    tested: int = 500,
    networks: Mapping[str, Mapping[str, Any]] = {
        "gru": {
            "model": {"cell": "gru", "hidden_size": 48, "num_layers": 1},
            "training": {"steps": 5000, "batch_size": 128, "learning_rate": 0.002},
        },
        "lstm": {
            "model": {"cell": "lstm", "hidden_size": 48, "num_layers": 1},
            "training": {"steps": 5000, "batch_size": 128, "learning_rate": 0.002},
        },
        "transformer_1": {
            "model": {"architecture": "transformer", "hidden_size": 128, "num_layers": 1, "num_heads": 4}
        },
        "transformer_2": {
            "model": {"architecture": "transformer", "hidden_size": 128, "num_layers": 2, "num_heads": 4}
        },
        "transformer_4": {
            "model": {"architecture": "transformer", "hidden_size": 128, "num_layers": 4, "num_heads": 4}
        },
        "transformer_2_nope": {
            "model": {
                "architecture": "transformer",
                "hidden_size": 128,
                "num_layers": 2,
                "num_heads": 4,
                "positions": "none",
            },
        },
    },
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Markov:
    """Does the state at one position decide what follows? Recurrent networks against transformers, on the same trials.

    Half an hour on two cores by the command, most of it training.

    Args:
        models: networks by name, trained; they come back as they were.
        task: what they do; it has the programs Up-Down and Ctx-Distr.
        tested: how many pairs.
        networks: what the command gives as `models`: each trained, by its `model` and `training` (or the recipe's), or
            read from its `path`; or some of these here, by name. Without the command it has no effect.
        seed: of the pairs.
        run: where the tests are kept and shown.

    Raises:
        InvalidArgumentError: the task lacks one of the programs, or a network has no states to exchange.
    """
    check_at_least("tested", tested, 1)
    if not {STATE, CONTEXT} <= set(task.programs):
        fit = [name for name in TASKS if {STATE, CONTEXT} <= set(getattr(TASKS[name], "programs", ()))]
        raise InvalidArgumentError(
            f"task={task.name!r} is not allowed: the Markov tests need the programs {STATE} and {CONTEXT}, and it has "
            f"{', '.join(task.programs)}; choose one of {', '.join(fit)}"
        )
    if not models:
        raise InvalidArgumentError(f"models={models!r} is not allowed: give at least one")
    for model in models.values():
        check_vocabulary(model, task)
        state_sites(model)
    first, *others = models.values()
    task = rightly(first, task, *others)
    pairs, found = draw(task, tested, seed), {}
    asked = {"task": task.asked(), "tested": tested, "seed": seed}
    for name, model in models.items():
        make = partial(measure, model, task, *pairs, run=run, name=name)
        found[name] = run.keep(f"tests/{name}", make, MarkovTests.load, asked={**asked, "weights": hash_of(model)})
    return run.show(Markov(found))


def draw(task: Task, n: int, seed: int) -> tuple[Pairs, Pairs, Pairs]:
    """The same `n` pairs as Up-Down's full state, as nothing, and as Ctx-Distr's value is exchanged."""
    made = [
        interchange_pairs(task, task.program(name), (FULL,), n, generator=torch.Generator().manual_seed(seed))
        for name in (STATE, CONTEXT)
    ]
    generator = torch.Generator().manual_seed(seed)
    return made[0], unexchanged(task, task.program(STATE), made[0], generator), made[1]


def measure(
    model: nn.Module, task: Task, pairs: Pairs, own: Pairs, context: Pairs, *, run: NoRun = NO_RUN, name: str = "tests"
) -> MarkovTests:
    """All Markov tests of one network: single sites, all together, and the score.

    Args:
        model: it comes back as it was.
        task: what it does.
        pairs: as `draw` gives them, and so are the next two.
        own: as nothing is exchanged.
        context: as Ctx-Distr's value is.
        run: where the stages are shown.
        name: of the model, there.
    """
    alike, unlike = (rows.nonzero()[:, 0] for rows in (~context.changed, context.changed))
    sites = state_sites(model)
    exchanged: dict[str, list[Site]] = {str(site): [site] for site in sites}
    if len(sites) > 1:
        exchanged["all layers"] = sites
    source, token = telling(pairs.rows(unlike), context.rows(unlike))
    found = {}
    with run.stage(f"tests of {name}", len(exchanged)) as stage:
        for step, (where, together) in enumerate(exchanged.items(), 1):
            found[where] = AtSite(
                following(model, together, pairs.rows(alike), own.rows(alike)),
                {
                    "source": Share.of(agrees(model, together, source)),
                    "token": Share.of(agrees(model, together, token)),
                },
            )
            stage.to(step)
    scores = {
        "alike": dependence(model, pairs.rows(alike), own.rows(alike)),
        "all": dependence(model, pairs, own),
    }
    return MarkovTests(found, scores, evaluate(model, task))
