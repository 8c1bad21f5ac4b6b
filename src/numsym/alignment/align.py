"""The front door: align a program's variables with a model, and measure how far to believe it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from numsym._pyvene import frozen, pv
from numsym.alignment import controls as control
from numsym.alignment.engines.choice import ENGINES, engine_for, right
from numsym.alignment.engines.free_running import free_running
from numsym.alignment.engines.pyvene import device_of, unintervened
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.hypotheses import Drawn, Hypotheses, Hypothesis, PairCounts, named
from numsym.alignment.pairs import Positions
from numsym.alignment.result import AlignmentResult, Measurement
from numsym.alignment.search import Engine, Progress, SearchSettings
from numsym.alignment.search import search as run_search
from numsym.errors import Options, check_at_least, check_between, check_name, options_of
from numsym.models.logits import check_vocabulary
from numsym.models.site import Site
from numsym.models.weights import hash_of
from numsym.results import plain
from numsym.run import NO_RUN, NoRun, Stage
from numsym.shares import Share
from numsym.tasks import Task

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
    site: str | Site = "state",
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
        >>> model = numsym.models.counting_gru(task)
        >>> found = numsym.align(
        ...     model, task, subspace_dim=1, controls=("floor",),
        ...     search={"max_steps": 2}, pairs={"train": 50, "validation": 20, "test": 20},
        ... )
        >>> found.program, found.variables
        ('up_down', ('count',))
    """
    wanted = Hypothesis(program, variable, alignment, subspace_dim, seed)
    options = (site, positions, search, pairs, controls, engine)
    return _aligned(model, task, named([wanted], task), *options, run, None)[0]


def align_many(
    model: nn.Module,
    task: Task,
    hypotheses: Hypotheses | None = None,
    *,
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = None,
    pairs: Options[PairCounts] = None,
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    run: NoRun = NO_RUN,
    on_check: Callable[[int, dict[str, float | int]], Any] | None = None,
) -> list[AlignmentResult]:
    """Search for several alignments over one frozen model, as one batch where the fast engine supports them.

    The search follows [N] (section 3.3 and appendix): interchange pairs of training numbers, cross-entropy of the
    counterfactual's predictable tokens, validation on pairs apart; the best parameters by validation IIA are kept.
    IIA is then measured on pairs that were neither trained on nor chosen by, of training numbers and of held-out ones.

    Args:
        model: any model that pyvene knows (`numsym.models.load`, `numsym.models.register`); it comes back as it was.
        task: what the model does.
        hypotheses: what to search for, in a list, or by the names that a run keeps them under; the task's own if not
            given.
        site: where to intervene, "component" or "component:layer".
        positions: intervene only where these variables have these values, such as `{"phase": 1, "count": (1, 10)}`.
        search: a `SearchSettings`, or some of its fields, such as `{"max_steps": 500}`.
        pairs: a `PairCounts`, or some of its fields: how many to train on, to stop by, and to measure on.
        controls: True for all of `numsym.alignment.controls.CONTROLS`, False for none, or their names.
        engine: "resumed" (fast: recurrent models, and transformers trained here), "pyvene" (any, the reference), or
            "auto".
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
    site: str | Site,
    positions: Positions | None,
    search: Options[SearchSettings],
    pairs: Options[PairCounts],
    controls: bool | Sequence[str],
    engine: str,
    run: NoRun,
    on_check: Callable[[int, dict[str, float | int]], Any] | None,
) -> list[AlignmentResult]:
    settings, counts, site = options_of(SearchSettings, search), options_of(PairCounts, pairs), Site.of(site)
    wanted = check_options(settings, counts, controls, engine)
    check_vocabulary(model, task)
    width = site.check(model)
    checked = {name: hypothesis.checked(task, width) for name, hypothesis in hypotheses.items()}

    def make(missing: Sequence[str]) -> dict[str, AlignmentResult]:
        labels = [name.removeprefix(FOLDER) for name in missing]
        with frozen(model), run.stage("alignment", settings.max_steps) as stage:
            watch = _Watch(stage, labels, on_check)
            sought = [checked[name] for name in labels]
            found = _Run(model, task, sought, site, settings, counts, positions, wanted, engine, watch).results()
        return dict(zip(missing, found, strict=True))

    names = [FOLDER + name for name in checked]
    asked = {} if run is NO_RUN else _asked(model, task, checked, site, positions, settings, counts, wanted, engine)
    found = run.keep_all(names, make, lambda path: AlignmentResult.load(path, model), asked=asked)
    return [found[name] for name in names]


def _asked(model: nn.Module, task: Task, hypotheses: Mapping[str, Hypothesis], *rest: Any) -> dict[str, dict[str, Any]]:
    names = ("site", "positions", "search", "pairs", "controls", "engine")
    shared = {"task": task.asked(), "weights": hash_of(model), **dict(zip(names, map(plain, rest), strict=True))}
    shared["site"] = str(rest[0])
    return {FOLDER + name: {"hypothesis": plain(one), **shared} for name, one in hypotheses.items()}


@dataclass
class _Watch:
    """Shows a search: few IIAs by name, of more the mean."""

    stage: Stage
    names: list[str]
    on_check: Callable[[int, dict[str, float | int]], Any] | None
    shown: dict[str, float] = field(default_factory=dict)

    def __call__(self, index: int, record: dict[str, float | int]) -> None:
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
    for name in ("max_steps", "batch_size", "check_every", "patience"):
        check_at_least(name, getattr(settings, name), 1)
    check_between("stop_at", settings.stop_at, 0, 1)
    for name, count in vars(pairs).items():
        check_at_least(f"{name}_pairs", count, 1)
    check_name("engine", engine, ENGINES)
    wanted = control.CONTROLS if controls is True else tuple(controls or ())
    for name in wanted:
        check_name("control", name, control.CONTROLS)
    return wanted


@dataclass
class _Run:
    """One call of `align_many`."""

    model: nn.Module
    task: Task
    hypotheses: list[Hypothesis]
    site: Site
    settings: SearchSettings
    counts: PairCounts
    positions: Positions | None
    wanted: tuple[str, ...]
    engine_name: str
    on_check: Callable[[int, dict[str, float | int]], Any] | None

    def results(self) -> list[AlignmentResult]:
        """Search with the true pairs and, in the same batch, with permuted sources; then measure."""
        self._hash = hash_of(self.model)  # once: it reads every weight
        drawn: dict[tuple, Drawn] = {}
        for h in self.hypotheses:
            key = (h.program, h.variables, h.seed)
            if key not in drawn:
                drawn[key] = Drawn.draw(self.task, h, self.counts, self.positions)
        data = [drawn[h.program, h.variables, h.seed] for h in self.hypotheses]
        shuffled = {key: d.permuted(key[-1]) for key, d in drawn.items()}
        permuted = [shuffled[h.program, h.variables, h.seed] for h in self.hypotheses]
        n, both = len(data), "permuted" in self.wanted
        engine, progress = self._search(self.model, data + permuted * both, self.hypotheses * (1 + both), self.on_check)
        interventions = self._interventions
        references: dict[tuple[int, int | None], dict[str, Share]] = {}
        for d, h in zip(data, self.hypotheses, strict=True):
            # Two functions on the same pairs have the same.
            if (id(d), h.subspace_dim) not in references:
                references[id(d), h.subspace_dim] = self._references(d, h)
        shares = [dict(references[id(d), h.subspace_dim]) for d, h in zip(data, self.hypotheses, strict=True)]
        if both:
            # What the map makes of sources that tell nothing, on pairs of the kind that it was fitted to.
            for i, d in enumerate(permuted):
                shares[i]["permuted"] = Share.of(right(engine, n + i, d.test))
        if "untrained" in self.wanted:
            other, _ = self._search(control.untrained(self.model, self.hypotheses[0].seed), data, self.hypotheses, None)
            for i, d in enumerate(data):
                shares[i]["untrained"] = Share.of(right(other, i, d.test))
        return [self._result(i, data[i], engine, interventions[i], progress[i], shares[i]) for i in range(n)]

    def _search(
        self,
        model: nn.Module,
        data: list[Drawn],
        hypotheses: list[Hypothesis],
        on_check: Callable[[int, dict[str, float | int]], Any] | None,
    ) -> tuple[Engine, list[Progress]]:
        width, reported = self.site.check(model), len(self.hypotheses)
        self._interventions = [
            build(h.alignment, width, h.subspace_dim or 1, len(h.variables), h.seed).to(device_of(model))
            for h in hypotheses
        ]
        engine = engine_for(model, self.site, self._interventions, self.engine_name)
        report = None if on_check is None else lambda i, record: on_check(i, record) if i < reported else None
        training, validation = [d.train for d in data], [d.validation for d in data]
        return engine, run_search(engine, training, validation, [h.seed for h in hypotheses], self.settings, report)

    def _references(self, data: Drawn, hypothesis: Hypothesis) -> dict[str, Share]:
        """The controls that need no search."""
        made: dict[str, Share] = {}
        if "floor" in self.wanted:
            made["floor"] = Share.of(unintervened(self.model, data.test))
        if "ceiling" in self.wanted:
            made["ceiling"] = Share.of(control.whole_state(self.model, self.site, data.everything))
        if "neurons" in self.wanted:
            k = (hypothesis.subspace_dim or 1) * len(hypothesis.variables)
            made["neurons"] = Share.of(control.single_neurons(self.model, self.site, data.train, data.test, k))
        return made

    def _result(
        self,
        index: int,
        data: Drawn,
        engine: Engine,
        intervention: pv.Intervention,
        progress: Progress,
        shares: dict[str, Share],
    ) -> AlignmentResult:
        h = self.hypotheses[index]
        kept = data.held_out
        held_out = None if kept is None else Measurement.of(right(engine, index, kept), kept)
        free = None
        if isinstance(engine, RecurrentEngine):
            generator = torch.Generator(device_of(self.model)).manual_seed(h.seed)
            free = free_running(engine, index, data.test, self.task.program(h.program), generator)
        return AlignmentResult(
            task=self.task.name,
            program=h.program,
            variables=h.variables,
            alignment=h.alignment,
            subspace_dim=getattr(intervention, "boundary", h.subspace_dim) or 1,
            site=self.site,
            seed=h.seed,
            engine=engine.name,
            steps=progress.steps,
            converged=progress.converged,
            test=Measurement.of(right(engine, index, data.test), data.test),
            held_out=held_out,
            free_running=None if free is None else Share.of(free.right),
            tokens_off=None if free is None else free.off,
            controls=shares,
            records=progress.records,
            model_hash=self._hash,
            intervention=intervention,
            model=self.model,
        )
