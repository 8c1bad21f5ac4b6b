"""The front door: align a program's variables with a model, and measure how far to believe it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from numsym._pyvene import pv
from numsym.alignment import controls as control
from numsym.alignment.engines.choice import ENGINES, engine_for, right
from numsym.alignment.engines.free_running import free_running
from numsym.alignment.engines.pyvene import device_of, unintervened
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.hypotheses import Drawn, Hypothesis, PairCounts
from numsym.alignment.pairs import Positions
from numsym.alignment.result import AlignmentResult, Measurement, hash_of
from numsym.alignment.search import Engine, Progress, SearchSettings, search
from numsym.alignment.site import Site
from numsym.alignment.statistics import Share
from numsym.errors import check_at_least, check_between, check_name
from numsym.models.logits import check_vocabulary
from numsym.tasks import Task


def align(
    model: nn.Module,
    task: Task,
    *,
    program: str = "up_down",
    variable: str | Sequence[str] = "count",
    alignment: str = "linear",
    subspace_dim: int | None = None,
    seed: int = 0,
    **options: Any,
) -> AlignmentResult:
    """Search for an alignment of one hypothesis; see `Hypothesis` for these arguments and `align_many` for the others.

    Example:
        >>> result = align(model, task, program="up_down", variable="count", alignment="linear")  # doctest: +SKIP
        >>> result.iia, result.heldout_iia, result.floor, result.ceiling  # doctest: +SKIP
    """
    return align_many(model, task, [Hypothesis(program, variable, alignment, subspace_dim, seed)], **options)[0]


def align_many(
    model: nn.Module,
    task: Task,
    hypotheses: Sequence[Hypothesis],
    *,
    site: str | Site = "state",
    settings: SearchSettings | None = None,
    pairs: PairCounts | None = None,
    positions: Positions | None = None,
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    on_check: Callable[[int, dict[str, float | int]], Any] | None = None,
    **changes: Any,
) -> list[AlignmentResult]:
    """Search for several alignments over one frozen model, as one batch where the fast engine supports them.

    The search follows [N] (section 3.3 and appendix): interchange pairs of training numbers, cross-entropy of the
    counterfactual's predictable tokens, validation on pairs apart; the best parameters by validation IIA are kept.
    IIA is then measured on pairs that were neither trained on nor chosen by, of training numbers and of held-out ones.

    Args:
        model: any model that pyvene knows (`numsym.models.register`); its weights and mode are left as they are.
        task: what the model does.
        hypotheses: what to search for.
        site: where to intervene, "component" or "component:layer".
        settings: of the search; single fields may also be given by name, such as `max_steps=1000`.
        pairs: how many; single fields also as `train_pairs`, `validation_pairs`, `test_pairs`.
        positions: intervene only where these variables have these values, such as `{"phase": 1, "count": (1, 10)}`.
        controls: True for all of `numsym.alignment.controls.CONTROLS`, False for none, or their names.
        engine: "resumed" (fast: recurrent models, and transformers trained here), "pyvene" (any, the reference), or
            "auto".
        on_check: called with the index of a hypothesis and each record of its search.
        changes: fields of `settings` and `pairs`.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    settings, pairs = _changed(settings or SearchSettings(), pairs or PairCounts(), changes)
    wanted = check_options(settings, pairs, controls, engine)
    site = Site.of(site)
    check_vocabulary(model, task)
    width = site.check(model)
    checked = [hypothesis.checked(task, width) for hypothesis in hypotheses]
    with frozen(model):
        return _Run(model, task, checked, site, settings, pairs, positions, wanted, engine, on_check).results()


def _changed(settings: SearchSettings, pairs: PairCounts, changes: dict[str, Any]) -> tuple[SearchSettings, PairCounts]:
    counts = {f"{name}_pairs": name for name in vars(pairs)}
    for name in changes:
        check_name("argument of align", name, (*vars(settings), *counts))
    settings = replace(settings, **{name: value for name, value in changes.items() if name not in counts})
    pairs = replace(pairs, **{counts[name]: value for name, value in changes.items() if name in counts})
    return settings, pairs


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


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode without gradients, and as it was afterwards (pyvene freezes for good)."""
    trained, was_training = [p for p in model.parameters() if p.requires_grad], model.training
    model.requires_grad_(False).eval()
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        model.train(was_training)


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
        return engine, search(engine, training, validation, [h.seed for h in hypotheses], self.settings, report)

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
