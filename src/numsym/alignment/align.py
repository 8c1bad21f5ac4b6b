"""The front door: align a program's variables with a model, and measure how far to believe it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from numsym._pyvene import frozen
from numsym.alignment.controls import CONTROLS
from numsym.alignment.drawing import check_positions
from numsym.alignment.drawn import PairCounts
from numsym.alignment.engines.choice import engine_names
from numsym.alignment.explain import explain
from numsym.alignment.hypotheses import Hypotheses, Hypothesis, named
from numsym.alignment.latent import TARGETS
from numsym.alignment.one_model import OneModel
from numsym.alignment.pairs import Positions
from numsym.alignment.result import AlignmentResult
from numsym.alignment.settings import SCHEDULES, STARTS, SearchSettings
from numsym.alignment.subject import Report, find
from numsym.errors import Options, check_at_least, check_between, check_name, options_of
from numsym.models.logits import check_vocabulary
from numsym.models.site import Site
from numsym.models.threads import advise
from numsym.models.twin import check_twin
from numsym.models.weights import hash_of
from numsym.results import plain
from numsym.run import NO_RUN, NoRun, Stage
from numsym.tasks import Task
from numsym.training import rightly

FOLDER = "alignments/"
"""Where a run keeps them."""

FEW = 3
"""So many IIAs are shown by name while they are searched for; of more, the mean."""


def align(
    model: nn.Module,
    task: Task,
    *,
    program: str | None = None,
    variable: str | Sequence[str] | None = None,
    alignment: str | None = None,
    subspace_dim: int | None = None,
    dictionary: str | None = None,
    site: str | Site | Sequence[str | Site] = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = None,
    pairs: Options[PairCounts] = None,
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> AlignmentResult:
    """Search for an alignment of one variable of a program with a model, and measure how far to believe it.

    Args:
        model: any model that pyvene knows (`numsym.models.load`); it comes back as it was.
        task: what the model does; it says what is searched for where that is not given.
        program: a program of the task.
        variable: one of its variables, several (each its own block), or "full".
        alignment: the function; see `Hypothesis` for this and the next.
        subspace_dim: coordinates of each variable.
        dictionary: of "sae".
        site: where to intervene; see `align_many` for this and the rest.
        positions: where in the trials.
        search: its settings, such as `{"max_steps": 500}`.
        pairs: how many, such as `{"train": 1000}`.
        controls: which.
        engine: the route through the model.
        seed: of the pairs, of the start and of the order of the pairs.
        run: where the result is kept.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.

    Example:
        >>> task = numsym.tasks.MultiObject(counts=range(1, 4))
        >>> model = numsym.models.counting_gru(task.vocabulary)
        >>> found = numsym.align(
        ...     model, task, subspace_dim=1, controls=("floor",),
        ...     search={"max_steps": 2}, pairs={"train": 50, "validation": 20, "test": 20},
        ... )
        >>> found.program, found.variables
        ('up_down', ('count',))
    """
    wanted = Hypothesis(program, variable, alignment, subspace_dim, seed, dictionary=dictionary)
    options = (site, positions, search, pairs, controls, engine)
    return _aligned(model, task, named([wanted], task), *options, run, None)[0]


def align_many(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    site: str | Site | Sequence[str | Site] = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = None,
    pairs: Options[PairCounts] = None,
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    run: NoRun = NO_RUN,
    on_check: Report | None = None,
) -> list[AlignmentResult]:
    """Search for several alignments over one frozen model, as one batch where the fast engine supports them.

    The search follows [N] (section 3.3 and appendix): interchange pairs of training numbers, cross-entropy of the
    counterfactual's predictable tokens, validation on pairs apart; the best parameters by validation IIA are kept.
    IIA is then measured on pairs that were neither trained on nor chosen by, of training numbers and of held-out ones.

    Args:
        model: any model that pyvene knows (`numsym.models.load`, `numsym.models.register`); it comes back as it was.
        task: what the model does; of one that is asked as text only trials that the model answers rightly are drawn,
            and the result says which share they are (`Task.only_right`).
        hypotheses: what to search for, in a list, or by the names that a run keeps them under; the task's own if not
            given.
        site: where to intervene, "component", "component:layer" or "component:layer.head"; or several of these, which
            are exchanged together, by one map.
        positions: intervene only where these variables have these values, such as `{"phase": 1, "count": (1, 10)}`; or
            at these tokens of every trial, together and by one map, by index or by the task's names: `[2, "last"]`.
            Then the program's variable is exchanged at the last of them, or where the task next allows it.
        search: a `SearchSettings`, or some of its fields, such as `{"max_steps": 500}`.
        pairs: a `PairCounts`, or some of its fields: how many to train on, to stop by, and to measure on.
        controls: True for all of `numsym.alignment.controls.CONTROLS`, False for none, or their names.
        engine: "resumed" (fast: recurrent models, transformers trained here, and any decoder of transformers that can
            be run on from the site), "pyvene" (any, the reference), or "auto".
        run: where the results are kept: those that are there are read, the others are searched for together.
        on_check: called with the index of a hypothesis and each record of its search.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    options = (site, positions, search, pairs, controls, engine)
    return _aligned(model, task, named(hypotheses, task), *options, run, on_check)


def _aligned(
    model: nn.Module,
    task: Task,
    hypotheses: Mapping[str, Hypothesis],
    site: str | Site | Sequence[str | Site],
    positions: Positions | None,
    search: Options[SearchSettings],
    pairs: Options[PairCounts],
    controls: bool | Sequence[str],
    engine: str,
    run: NoRun,
    on_check: Report | None,
) -> list[AlignmentResult]:
    settings, counts = options_of(SearchSettings, search), options_of(PairCounts, pairs)
    wanted = check_options(settings, counts, controls, engine)
    if "untrained" in wanted:
        check_twin(model)
    check_vocabulary(model, task)
    check_positions(task, positions)
    task = rightly(model, task)
    advise(model)
    places = {name: Site.of(one.site or site) for name, one in hypotheses.items()}
    checked = {name: one.checked(task, places[name].check(model)) for name, one in hypotheses.items()}
    subjects = {place: OneModel(model, task, place, counts, positions, engine) for place in places.values()}
    weights = hash_of(model)  # once: it reads every weight

    def make(missing: Sequence[str]) -> dict[str, AlignmentResult]:
        made: dict[str, AlignmentResult] = {}
        for place, subject in subjects.items():
            names = [name for name in missing if places[name.removeprefix(FOLDER)] == place]
            labels = [name.removeprefix(FOLDER) for name in names]
            with run.stage("alignment", settings.max_steps) as stage:
                watch = Watch(stage, labels, on_check)
                found = find(subject, [checked[name] for name in labels], settings, wanted, watch) if labels else []
            made |= {name: subject.result(one, weights) for name, one in zip(names, found, strict=True)}
        return made

    asked: dict[str, dict[str, Any]] = {}
    for name, one in checked.items():
        asked |= _asked(subjects[places[name]], {name: one}, weights, settings, wanted)
    with frozen(model):
        kept = run.keep_all(list(asked), make, lambda path: AlignmentResult.load(path, model), asked=asked)
    explainer = partial(explain, task=task, pairs=counts, positions=positions, search=settings, engine=engine)
    return [replace(result, explainer=explainer) for result in kept.values()]


def _asked(
    subject: OneModel,
    hypotheses: Mapping[str, Hypothesis],
    weights: str,
    settings: SearchSettings,
    wanted: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """What each result is made from, by the name of its part."""
    shared = {
        "task": subject.task.asked(),
        "weights": weights,
        "site": str(subject.site),
        "positions": plain(subject.positions),
        "search": plain(settings),
        "pairs": plain(subject.counts),
        "controls": plain(wanted),
        "engine": subject.route,
    }
    return {FOLDER + name: {"hypothesis": one.asked(), **shared} for name, one in hypotheses.items()}


@dataclass
class Watch:
    """Shows a search: few IIAs by name, of more the mean.

    Attributes:
        stage: where.
        names: of what is searched for.
        on_check: who else is told.
    """

    stage: Stage
    names: list[str]
    on_check: Report | None = None
    shown: dict[str, float] = field(default_factory=dict)

    def __call__(self, index: int, record: dict[str, float | int]) -> None:
        """Show a record of one of them."""
        self.shown[self.names[index]] = record["iia"]
        mean = {f"mean IIA of {len(self.names)}": sum(self.shown.values()) / len(self.shown)}
        self.stage.to(int(record["step"]), **(self.shown if len(self.names) <= FEW else mean))
        self.stage.record(self.names[index], record)
        if self.on_check is not None:
            self.on_check(index, record)


def check_options(
    settings: SearchSettings, pairs: PairCounts, controls: bool | Sequence[str], engine: str
) -> tuple[str, ...]:
    """The names of the controls that `align_many` would run, given these arguments of it.

    Raises:
        InvalidArgumentError: one of them is not allowed, whatever the model, the task and the hypotheses.
    """
    for name in ("max_steps", "batch_size", "check_every", "patience", "tries"):
        check_at_least(name, getattr(settings, name), 1)
    check_at_least("warm_up", settings.warm_up, 0)
    for name in ("stop_at", "wrong_share", "average"):
        check_between(name, getattr(settings, name), 0, 1)
    check_between("beta2", settings.beta2, 0, 0.99999)
    if settings.learning_rate is not None:
        check_at_least("learning_rate", settings.learning_rate, 0)
    check_at_least("boundary_weight", settings.boundary_weight, 0)
    check_name("starts", settings.starts, STARTS)
    check_name("schedule", settings.schedule, SCHEDULES)
    check_name("cl_target", settings.cl_target, TARGETS)
    check_at_least("cl_weight", settings.cl_weight, 0)
    for name, count in vars(pairs).items():
        check_at_least(f"{name}_pairs", count, 1)
    check_name("engine", engine, engine_names())
    wanted = CONTROLS if controls is True else tuple(controls or ())
    for name in wanted:
        check_name("control", name, CONTROLS)
    return wanted
