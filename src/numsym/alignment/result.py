"""What a search found, how far to believe it, and where it is kept."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym._pyvene import frozen, intervenable, pv, save
from numsym.alignment import shown
from numsym.alignment.measurement import Measurement
from numsym.alignment.mib import to_mib
from numsym.alignment.stored import read_intervention, write_intervention
from numsym.errors import InvalidArgumentError
from numsym.models.site import Site
from numsym.models.weights import check_hash
from numsym.results import Result, formatted, left_out, read_result
from numsym.shares import Share
from numsym.storage import new_folder

BELOW = ("floor", "permuted", "untrained")
"""The controls that an IIA must be above to mean anything."""

if TYPE_CHECKING:
    from altair import TopLevelMixin

    from numsym.alignment.explain import Explanation


@dataclass(frozen=True, repr=False)
class AlignmentResult(Result):
    """One alignment of one or several variables, with its controls.

    IIA is the share of trials in which all predictable tokens after the exchange match the counterfactual, on pairs
    that the search did not train on. Shares carry 95 % Wilson intervals.

    Attributes:
        task, program, variables: what was asked and which hypothesis was tested.
        alignment, subspace_dim: the function, and how many coordinates each variable has.
        condition: of a conditional function: the variable that its codes are given, or how many were found.
        dictionary: of "sae": where its features are from.
        site: where.
        tokens: at which tokens of the trials, all together, by index or by the task's names; empty where a position is
            drawn in each.
        seed, engine: how it was searched for.
        start, starts, ends: the start that the search kept; the IIA of each that was compared, on validation pairs and
            before any step; and what the search from each that was tried reached there. How far the ends lie apart says
            how far the search can be believed.
        steps, converged: optimiser steps, and whether validation IIA reached the goal.
        test: IIA on numbers that training used.
        held_out: IIA on numbers kept out of training and search; `None` where there are none.
        free_running: IIA on the pairs of `test` when the model consumes its own predictions; `None` where the engine
            cannot let the model go on.
        tokens_off: how many tokens the model then says too many or too few, on average; `None` likewise.
        controls: name -> share; see `numsym.alignment.controls`. A control that was not run is not there.
        records: the course of the search.
        model_hash: of the weights that the alignment was fitted to.
        answered: the share of different trials that the model answers rightly; `None` where all trials were drawn.
        intervention: the learned pyvene intervention; `None` in a result that was read without its model.
        model: the model it was fitted to; likewise.
    """

    task: str
    program: str
    variables: tuple[str, ...]
    alignment: str
    subspace_dim: int
    site: Site
    seed: int
    engine: str
    steps: int
    converged: bool
    test: Measurement
    held_out: Measurement | None
    free_running: Share | None
    tokens_off: float | None
    controls: dict[str, Share]
    records: list[dict[str, float | int]] = field(repr=False)
    model_hash: str = field(repr=False)
    intervention: Any = left_out()
    model: Any = left_out()
    start: str = "random"
    starts: dict[str, float] = field(default_factory=dict, repr=False)
    ends: dict[str, float] = field(default_factory=dict, repr=False)
    tokens: tuple[int | str, ...] = ()
    explainer: Any = left_out(default=None)
    answered: Share | None = None
    condition: str | int | None = None
    dictionary: str | None = None

    name: ClassVar[str] = "alignment"

    @property
    def iia(self) -> float:
        """IIA on pairs of training numbers that were not trained on."""
        return self.test.iia.value

    @property
    def heldout_iia(self) -> float | None:
        """IIA on held-out numbers."""
        return None if self.held_out is None else self.held_out.iia.value

    @property
    def floor(self) -> float | None:
        """What no intervention reaches on the same pairs."""
        return self._control("floor")

    @property
    def ceiling(self) -> float | None:
        """What exchanging the whole state reaches, against the exchange of all variables."""
        return self._control("ceiling")

    def _control(self, name: str) -> float | None:
        return self.controls[name].value if name in self.controls else None

    @property
    def standing(self) -> str:
        """Whether IIA is surely above what its floor, permuted and untrained controls reach, and not above the ceiling.

        An exchange that does more than one of the whole site can exchanges no value that is there: it steers.
        """
        if not {"permuted", "untrained"} <= set(self.controls):
            return "not compared"
        if self._not_above():
            return "not above controls"
        return "steered" if self._above_ceiling() else "above controls"

    @property
    def reason(self) -> str:
        """The numbers that say so, in a sentence."""
        said = f"IIA is {formatted(self.test.iia)} % on {self.test.iia.n} pairs"
        if self.held_out is not None:
            said += f", and {formatted(self.held_out.iia)} % on numbers that training did not see"
        missing = [name for name in ("permuted", "untrained") if name not in self.controls]
        if missing:
            return f"{said}; {' and '.join(missing)} controls were not run, so that nothing can be concluded from it"
        if below := self._not_above():
            reached = ", ".join(f"{name} reaches {formatted(self.controls[name])} %" for name in below)
            return f"{said}; its interval is not above that of its controls: {reached}"
        reached = ", ".join(f"{name} {formatted(self.controls[name])} %" for name in BELOW if name in self.controls)
        said = f"{said}; its interval is above those of its controls ({reached})"
        if self._above_ceiling():
            whole = formatted(self.controls["ceiling"])
            said += f", and above that of an exchange of the whole site ({whole} %): it steers, and exchanges no value"
        return said

    def _above_ceiling(self) -> bool:
        return "ceiling" in self.controls and self.test.iia.low > self.controls["ceiling"].high

    def _not_above(self) -> list[str]:
        return [name for name in BELOW if name in self.controls and self.test.iia.low <= self.controls[name].high]

    @property
    def question(self) -> str:
        """What was asked, in a sentence."""
        return shown.question({self.alignment: self})

    def findings(self) -> list[tuple[str, str]]:
        """Whether its IIA is surely above what the controls reach."""
        return [(self.standing, self.reason)]

    def charts(self) -> "dict[str, TopLevelMixin]":
        """IIA beside its controls, and by the numbers of the trials."""
        return shown.pictures({self.alignment: self})

    def intervenable(self, model: nn.Module | None = None) -> pv.IntervenableModel:
        """The model with the learned intervention at its site, ready to be called with base and sources.

        Args:
            model: another instance with the same weights, instead of the one that was aligned.

        Raises:
            ModelMismatchError: these are not the weights that the alignment was fitted to.
        """
        model = self.model if model is None else model
        check_hash(model, self.model_hash)
        return intervenable(model, self.site.representations(self.intervention, max(1, len(self.tokens))))

    def explain(self, *, measured: int = 2000, examples: int = 6, tries: bool = True) -> "Explanation":
        """Why its IIA is what it is; see `numsym.alignment.explain`, which takes results that were read, too.

        Args:
            measured: how many fresh pairs.
            examples: how many trials in words, at most.
            tries: whether to search with other functions and with pairs of one kind.

        Raises:
            InvalidArgumentError: it was read by itself, so that it does not know its task.
        """
        if self.explainer is None:
            raise InvalidArgumentError(
                "this result was read by itself and does not know its task: call "
                "numsym.alignment.explain(result, task), with the pairs= and positions= that it was searched with"
            )
        return self.explainer(self, measured=measured, examples=examples, tries=tries)

    @property
    def title(self) -> str:
        """Task and what was aligned."""
        return f"{self.task}: IIA in percent, with 95 % intervals"

    def rows(self) -> list[dict[str, Any]]:
        """One row: what was aligned, its IIA, and its controls."""
        return [
            {
                "program": self.program,
                "variable": ", ".join(self.variables),
                "function": self.alignment,
                "k": self.subspace_dim,
                "site": str(self.site),
                **({"tokens": ", ".join(map(str, self.tokens))} if self.tokens else {}),
                "iia": self.test.iia,
                "heldout_iia": None if self.held_out is None else self.held_out.iia,
                **self.controls,
                "free_running": self.free_running,
                "tokens_off": self.tokens_off,
                **({} if self.answered is None else {"answered": self.answered}),
                "steps": self.steps,
                "converged": self.converged,
            }
        ]

    def facts(self) -> dict[str, str]:
        """Hypothesis, alignment and weights, as the card on the hub says them."""
        return {
            "Hypothesis": f"at `{self.site}` the network holds `{', '.join(self.variables)}` of the program "
            f"`{self.program}`, on the task `{self.task}`",
            "Alignment": f"`{self.alignment}`, {self.subspace_dim} coordinates a variable, seed {self.seed}, "
            f"{self.steps} steps ({'reached its goal' if self.converged else 'did not reach its goal'})",
            "Weights": f"SHA-256 `{self.model_hash}`: only these load with the intervention",
        }

    def tags(self) -> dict[str, Any]:
        """The model on the hub that was aligned, if it is from there."""
        name = getattr(getattr(self.model, "config", None), "_name_or_path", "") or ""
        return {"base_model": name} if name and not Path(name).exists() else {}

    def write(self, folder: Path) -> None:
        """Write `result.json`, and the intervention as safetensors and JSON."""
        write_intervention(self.intervention, folder)
        super().write(folder)

    def _check_whole(self) -> None:
        if self.model is None:
            raise InvalidArgumentError(
                "model=None is not allowed: this result was read without its model; load it with it"
            )

    def save_pyvene(self, path: str | os.PathLike) -> None:
        """Write a new folder in pyvene's own format, whose tensors are pickled, with `result.json` beside.

        `pv.IntervenableModel.load(path, model)` loads the intervention, `AlignmentResult.load` all of it.

        Raises:
            RunFolderError: `path` exists.
            InvalidArgumentError: this result was read without its model.
        """
        self._check_whole()
        with new_folder(path) as folder, frozen(self.model):
            save(self.intervenable(), folder)
            super().write(folder)

    def to_mib(
        self,
        folder: str | os.PathLike,
        *,
        task: str | None = None,
        variables: Mapping[str, str] | None = None,
        token: str | None = None,
        own_code: bool = False,
    ) -> None:
        """Write a new folder that MIB's causal-variable track takes; see `numsym.alignment.to_mib`.

        Raises:
            InvalidArgumentError: the track has no name for what was aligned, or the map does not fit its format.
            RunFolderError: `folder` exists.
        """
        to_mib([self], folder, task=task, variables=variables, token=token, own_code=own_code)

    @classmethod
    def load(cls, path: str | os.PathLike, model: nn.Module | None = None) -> "AlignmentResult":
        """Read what `save` or `save_pyvene` wrote; without the model, its numbers.

        Nothing is unpickled, or with `weights_only=True` where pyvene wrote it, and nothing is imported that a file
        names.

        Raises:
            InvalidArgumentError: there is none, or its intervention cannot be read.
            ModelMismatchError: `model` does not have the weights that the alignment was fitted to.
        """
        read = read_result(path, cls.__name__)
        if model is None:
            return cls.from_dict(read)
        check_hash(model, read["model_hash"])
        intervention = read_intervention(Path(path)).to(next(model.parameters()).device)
        return cls.from_dict(read, intervention=intervention, model=model)
