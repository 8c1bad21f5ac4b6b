"""What is searched for: one alignment's hypothesis, and the interchange pairs that it is searched and measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from numsym.alignment.dictionary import Dictionary
from numsym.alignment.functions import check_fits, function_names
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.programs import Program
from numsym.results import plain
from numsym.tasks import Task

CONDITIONAL, USUAL = "conditional", "phase"
"""The function that has a condition, and the variable that is it where none is named."""

SPARSE = "sae"
"""The function that has a dictionary."""

LOOKED_AT = 500
"""Trials in which the values of a variable are looked for."""

WIDE = 512
"""The width above which no map of width x width is searched for, unless it is asked for."""


@dataclass(frozen=True)
class Hypothesis:
    """One alignment to search for; several over one model run as one batch (`align_many`).

    Attributes:
        program: a program of the task; the one that the task's `search` names if not given.
        variable: a variable of it, several (each its own block, exchanged one at a time), or "full" for all together;
            the one that the task's `search` names, or of another program the first, if not given.
        alignment: "orthogonal" (pyvene's rotation), "linear" (the LAF), "low_rank" (its projection of fixed rank, for
            large widths), "boundless" (the LAF with a learned number of coordinates), "conditional" (linear given a
            condition), ...: see `ALIGNMENTS`; or what is not learned, "pca", "mean_difference", "probe", "random": see
            `numsym.alignment.baselines`, and "sae": see `numsym.alignment.features`. By default "linear" up to a width
            of `WIDE`, and "low_rank" above it, where a map of width x width is no choice.
        subspace_dim: coordinates of each variable; half the width but at most 16 if not given.
        seed: of the pairs, of the start and of the order of the pairs.
        condition: of "conditional": a variable of the program that is not exchanged, or a number of codes that are to
            be found by themselves. By default the program's "phase", where it has one that is not exchanged, and one
            condition elsewhere.
        site: where it is searched for, if not where the others are: "component" or "component:layer".
        dictionary: of "sae", and only of it: the file of a sparse dictionary, or the folder in which SAELens has saved
            one; see `numsym.alignment.dictionary`.
    """

    program: str | None = None
    variable: str | Sequence[str] | None = None
    alignment: str | None = None
    subspace_dim: int | None = None
    seed: int = 0
    site: str | None = None
    condition: str | int | None = None
    dictionary: str | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables as a tuple of names."""
        return (self.variable,) if isinstance(self.variable, str) else tuple(self.variable or ())

    def of(self, task: Task) -> "Hypothesis":
        """With the task's own program and variable where none is named."""
        program = self.program or task.search[0]
        variable = self.variable
        if variable is None:
            variable = task.search[1] if program == task.search[0] else task.program(program).variables[0]
        return replace(self, program=program, variable=variable)

    def checked(self, task: Task, width: int) -> "Hypothesis":
        """With all defaults filled in, or an error that names what is wrong; no map is built to see it."""
        wanted = self.of(task)
        program = task.program(wanted.program)
        if not wanted.variables:
            raise InvalidArgumentError(f"variable={self.variable!r} is not allowed: name at least one")
        if len(set(wanted.variables)) < len(wanted.variables):
            raise InvalidArgumentError(f"variable={self.variable!r} is not allowed: name each once")
        for variable in wanted.variables:
            program.block(variable)
        alignment = wanted.alignment or ("linear" if width <= WIDE else "low_rank")
        check_name("alignment", alignment, function_names())
        if wanted.condition is not None:
            wanted._check_condition(program, alignment)
        k, blocks = wanted.subspace_dim, len(wanted.variables)
        usual = min(16, max(1, width // max(2, blocks)))
        if alignment == CONDITIONAL and (spanned := wanted.spanned(task, program)) is not None:
            usual = min(usual, max(1, spanned))
            if k is not None and k > spanned >= 1:
                raise InvalidArgumentError(
                    f"subspace_dim={k} is not allowed with condition={wanted.given(program)!r}: the means of "
                    f"{' and '.join(wanted.variables)} span at most {spanned} directions in each condition; give "
                    f"1..{spanned}"
                )
        k = usual if k is None else k
        check_fits(alignment, width, k, blocks)
        wanted._check_dictionary(alignment, width, k * blocks)
        return replace(wanted, alignment=alignment, subspace_dim=k)

    def given(self, program: Program) -> str | int:
        """The condition of a conditional function: a variable, or how many codes are to be found."""
        if self.condition is not None:
            return self.condition
        return USUAL if USUAL in program.variables and USUAL not in self._exchanged(program) else 1

    def _exchanged(self, program: Program) -> set[str]:
        return {name for variable in self.variables for name in program.block(variable)}

    def _check_condition(self, program: Program, alignment: str) -> None:
        if alignment != CONDITIONAL:
            raise InvalidArgumentError(
                f"condition={self.condition!r} is not allowed with alignment={alignment!r}: only {CONDITIONAL!r} has "
                "one"
            )
        if isinstance(self.condition, int):
            check_at_least("condition", self.condition, 1)
            return
        check_name("variable in condition", str(self.condition), program.variables)
        if self.condition in self._exchanged(program):
            raise InvalidArgumentError(
                f"condition={self.condition!r} is not allowed: it is exchanged itself; give another variable, or a "
                "number of codes"
            )

    def _check_dictionary(self, alignment: str, width: int, features: int) -> None:
        if (self.dictionary is not None) != (alignment == SPARSE):
            raise InvalidArgumentError(
                f"dictionary={self.dictionary!r} is not allowed with alignment={alignment!r}: {SPARSE!r} needs the "
                "file or folder of one, and no other function has one"
            )
        if self.dictionary is not None:
            Dictionary.read(self.dictionary, width, features)

    def asked(self) -> dict[str, Any]:
        """As a run knows again what its alignments are made from; of a dictionary, what it is and not only where."""
        known = {name: value for name, value in plain(self).items() if name != "dictionary"}
        return known if self.dictionary is None else known | {"dictionary": Dictionary.read(self.dictionary).digest}

    def spanned(self, task: Task, program: Program) -> int | None:
        """How many directions the means of the exchanged values can span in a condition; `None` without a variable."""
        condition = self.given(program)
        if isinstance(condition, int):
            return None
        batch = task.sample(LOOKED_AT, generator=torch.Generator().manual_seed(0), split="train")
        states = task.trace(program, batch).states
        where = task.intervenable(batch.input_ids)
        given = states[condition][where]
        spans = []
        for variable in self.variables:
            values = torch.stack([states[name][where] for name in program.block(variable)], 1)
            spans.append(max(len(values[given == c].unique(dim=0)) - 1 for c in given.unique()))
        return min(spans)


Hypotheses = Sequence[Hypothesis] | Mapping[str, Hypothesis]
"""What to search for: in a list, or by name."""


def named(hypotheses: Hypotheses | None, task: Task) -> dict[str, Hypothesis]:
    """Hypotheses by name, with the task's own program and variable where none is named.

    Args:
        hypotheses: by their own names, or named here: by what is not the same in all of them. By default one, the
            task's own.
        task: what they are about.

    Raises:
        InvalidArgumentError: there are none.
    """
    if hypotheses is not None and not hypotheses:
        raise InvalidArgumentError(f"hypotheses={hypotheses!r} is not allowed: name at least one")
    if isinstance(hypotheses, Mapping):
        return {name: one.of(task) for name, one in hypotheses.items()}
    wanted = [one.of(task) for one in hypotheses or (Hypothesis(),)]
    parts = [
        (
            one.program,
            "+".join(one.variables),
            one.alignment,
            one.subspace_dim and f"k{one.subspace_dim}",
            f"seed{one.seed}",
            one.condition and f"given_{one.condition}",
        )
        for one in wanted
    ]
    telling = [len({str(part[i]) for part in parts}) > 1 or i == 1 for i in range(len(parts[0]))]
    names = [".".join(str(p or "auto") for p, tells in zip(part, telling, strict=True) if tells) for part in parts]
    twice = [f"{name}.{i}" if names.count(name) > 1 else name for i, name in enumerate(names)]
    return dict(zip(twice, wanted, strict=True))
