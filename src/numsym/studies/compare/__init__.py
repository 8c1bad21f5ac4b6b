"""Which program does a network run? Several hypotheses on the same pairs, ranked, and ruled out by a stated rule.

Each variable of each program alone, and each program's variables together ("full"), is one hypothesis. All are searched
for over the same trials, with the exchange at the same positions; only the counterfactual differs by program. Two
hypotheses can say the same on many pairs, so each two are also compared on the pairs that tell them apart.

The rule, and what it says of each program, are in `verdicts`.

What a verdict says, it says of this site, this kind of map and this search: a better map or a longer search may find
what was not found here. `tries=True` looks for it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from numsym.alignment import (
    AlignmentResult,
    Explanation,
    Hypothesis,
    PairCounts,
    SearchSettings,
    Site,
    align_many,
)
from numsym.alignment.pairs import Positions
from numsym.errors import Options, options_of
from numsym.programs import FULL
from numsym.results import plain
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.studies.compare.comparison import Comparison
from numsym.studies.compare.verdicts import Rule
from numsym.tasks import Task
from numsym.training import rightly

__all__ = ["Comparison", "Rule", "compare", "hypotheses_of"]


def hypotheses_of(
    task: Task,
    programs: Iterable[str] | str | None = None,
    *,
    alignment: str | None = None,
    subspace_dim: int | None = None,
    seed: int = 0,
    full: bool = True,
    dictionary: str | None = None,
) -> dict[str, Hypothesis]:
    """Each variable of each program alone, and, for programs of several, "full": what `compare` tests, by name."""
    found = {}
    for program in task.programs if programs is None else [programs] if isinstance(programs, str) else programs:
        variables = task.program(program).variables
        for variable in (*variables, FULL) if full and len(variables) > 1 else variables:
            asked = (program, variable, alignment, subspace_dim, seed)
            found[f"{program}.{variable}"] = Hypothesis(*asked, dictionary=dictionary)
    return found


@study
def compare(
    model: nn.Module,
    task: Task,
    programs: Iterable[str] | str | None = None,
    *,
    alignment: str | None = None,
    subspace_dim: int | None = None,
    dictionary: str | None = None,
    full: bool = True,
    tries: bool = False,
    rule: Options[Rule] = Rule(),  # noqa: B008  (frozen)
    site: str | Site = "state",
    positions: Positions | None = None,
    search: Options[SearchSettings] = SearchSettings(cl_weight=0.1),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = True,
    engine: str = "auto",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> Comparison:
    """Test programs as hypotheses about one network on the same pairs: which does it run, which are ruled out?

    Args:
        model: as for `align`.
        task: what the model does.
        programs: names of programs of the task; all of them if not given.
        alignment: the function, of every hypothesis; see `Hypothesis` for this and the next.
        subspace_dim: coordinates of each variable.
        dictionary: of "sae", if that is the function.
        full: whether all variables of each program together are tested too.
        tries: whether to search for what falls short by other functions too, and on pairs of one kind (one phase, small
            counts): only then is a program said to fail, and what makes it succeed is named. It takes as long as a
            search for some ten alignments, for each program that falls short.
        rule: for the verdicts.
        site: where to intervene; see `align_many` for this and the rest.
        positions: intervene only there; their names must be variables of every program.
        search: its settings. Exchanged states are kept near natural ones (`cl_weight`), since a verdict asks that they
            are: without it the LAF of a counting GRU exchanges its count by states that lie far off.
        pairs: how many.
        controls: which; without floor, permuted and untrained no program is ever accepted.
        engine: the route through the model.
        seed: of the pairs, of the start and of the order of the pairs.
        run: where the alignments are kept and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.

    Example:
        >>> found = numsym.compare(model, task, programs=["up_down", "up_up"])  # doctest: +SKIP
        >>> found.answer, [(one.program, one.verdict, one.why) for one in found.verdicts]  # doctest: +SKIP
    """
    stated, counts = options_of(Rule, rule), options_of(PairCounts, pairs)
    asked: dict[str, Any] = {
        "alignment": alignment,
        "subspace_dim": subspace_dim,
        "dictionary": dictionary,
        "seed": seed,
    }
    wanted = hypotheses_of(task, programs, full=full, **asked)
    options: dict[str, Any] = {"positions": positions, "search": search, "pairs": counts, "controls": controls}
    task = rightly(model, task)
    results = align_many(model, task, wanted, site=site, engine=engine, run=run, **options)
    made = Comparison.of(task, results, pairs=counts, positions=positions, rule=stated, engine=engine)
    return run.show(_beside_others(made, run) if tries else made)


def _beside_others(made: Comparison, run: NoRun) -> Comparison:
    """With what else was searched for of each program that falls short."""
    short = {f"{one.program}.{one.variables[0]}": one for one in made.short()}
    return made.beside({name: _explained(name, one, run).tried for name, one in short.items()})


def _explained(name: str, result: AlignmentResult, run: NoRun) -> Explanation:
    asked = {"alignment": plain(result.to_dict())}
    return run.keep(f"explanations/{name}", result.explain, Explanation.load, asked=asked)
