"""Where does a modular adder hold a, b and their sum? Interchange interventions at each stage, by DAS and by LAF.

[P] reads the algorithm off metrics and logits; this asks the same by exchanging one variable between two inputs
([N] section 3.3) at the embeddings, the attention output and the MLP output: does the answer follow?
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from numsym.alignment import AlignmentResult, Hypothesis, PairCounts, SearchSettings, Site, align_many
from numsym.alignment.align import check_options
from numsym.alignment.functions import ALIGNMENTS
from numsym.circuits import as_adder
from numsym.errors import InvalidArgumentError, Options, check_between, check_name, options_of
from numsym.figures import COLOURS, drawing, spread
from numsym.models import ModularTransformer
from numsym.results import Result, brief
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks import ModularAddition

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROGRAMS = {"sum": "modular_sum", "first": "modular_operands", "second": "modular_operands"}
"""The program that each variable belongs to."""

SITES = ("embeddings", "attention_output", "mlp_output")
"""The embeddings (token and position), and stages of the last block."""

NOTES = """\
At the embeddings an operand is exchanged at its own token and the sum at the
last one; later sites are read at the last position, where the answer is.
floor: no exchange. permuted: the same search with sources that tell nothing."""


@dataclass(frozen=True, repr=False)
class ModularCausal(Result):
    """The alignments of each variable at each site, by "variable_site_function"."""

    alignments: dict[str, AlignmentResult]

    name: ClassVar[str] = "modular_causal"
    notes: ClassVar[str] = NOTES

    @property
    def title(self) -> str:
        """What the numbers are."""
        return "IIA of each variable at each site, in percent"

    def rows(self) -> list[dict[str, Any]]:
        """A row an alignment."""
        return [
            {
                "variable": one.variables[0],
                "site": one.site.component,
                "position": position_of(one.variables[0], one.site.component),
                "function": one.alignment,
                "k": one.subspace_dim,
                "iia": one.test.iia,
                "heldout_iia": None if one.held_out is None else one.held_out.iia,
                **one.controls,
                "steps": one.steps,
            }
            for one in self.alignments.values()
        ]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What tells the rows apart, in a terminal's width: all but the first IIA without their intervals."""
        return {
            self.title: [
                {
                    "variable": row["variable"],
                    "at": row["site"].removesuffix("_output"),
                    "function": row["function"],
                    "IIA": row["iia"],
                    "held out": brief(row["heldout_iia"]),
                    **{name: brief(share) for name, share in one.controls.items()},
                }
                for row, one in zip(self.rows(), self.alignments.values(), strict=True)
            ]
        }

    def figure(self) -> "Figure":
        """A panel a variable: IIA by site and function with intervals; what permuted sources reach is hollow."""
        rows = self.rows()
        variables, sites, functions = (
            list(dict.fromkeys(row[k] for row in rows)) for k in ("variable", "site", "function")
        )
        with drawing() as plt:
            size = (1.0 + 2.4 * len(variables), 2.8)
            figure, panels = plt.subplots(
                1, len(variables), figsize=size, sharey=True, squeeze=False, layout="constrained"
            )
            for axes, variable in zip(panels[0], variables, strict=True):
                for i, function in enumerate(functions):
                    shift, colour = 0.16 * (i - (len(functions) - 1) / 2), COLOURS[i % len(COLOURS)]
                    chosen = [row for row in rows if (row["variable"], row["function"]) == (variable, function)]
                    places = [sites.index(row["site"]) + shift for row in chosen]
                    for control, fill in (("iia", colour), ("permuted", "white")):
                        shares = [row[control] for row in chosen if control in row]
                        if shares:
                            label = function if control == "iia" else f"{function}, permuted"
                            axes.errorbar(
                                places, [s.value for s in shares], yerr=spread(shares), fmt="o", markersize=4,
                                linewidth=0.9, color=colour, markerfacecolor=fill, label=label,
                            )  # fmt: skip
                axes.set_xticks(range(len(sites)), [site.replace("_", "\n") for site in sites])
                axes.set(title=variable, ylim=(-0.03, 1.03), xlim=(-0.5, len(sites) - 0.5))
            panels[0][0].set_ylabel("IIA")
            figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
        return figure


def position_of(variable: str, site: str) -> str:
    """Where a variable is exchanged at a site: at "a", at "b", or at the "last" token."""
    return {"first": "a", "second": "b"}.get(variable, "last") if site == "embeddings" else "last"


@study
def modular_causal(
    model: nn.Module,
    *,
    variables: Sequence[str] = ("sum", "first", "second"),
    sites: Sequence[str] = ("embeddings", "attention_output", "mlp_output"),
    alignments: Sequence[str] = ("orthogonal", "linear"),
    subspace_dim: int = 16,
    fraction: float | int = 0.8,
    search: Options[SearchSettings] = SearchSettings(max_steps=400, check_every=100, patience=3),
    pairs: Options[PairCounts] = PairCounts(),
    controls: bool | Sequence[str] = ("floor", "permuted"),
    engine: str = "auto",
    seed: int = 0,
    run: NoRun = NO_RUN,
) -> ModularCausal:
    """Where does a modular adder hold a, b and their sum? Interchange interventions at each stage.

    Args:
        model: a transformer that adds.
        variables: of "sum", "first" and "second".
        sites: of `SITES`.
        alignments: of "orthogonal" (DAS), "linear" (LAF), ...
        subspace_dim: coordinates exchanged.
        fraction: share of all pairs of operands that the search sees; IIA on the rest is held out.
        search: its settings. A few hundred steps do here: the width is small, and p^2 pairs are all there is.
        pairs: how many.
        controls: which.
        engine: the route.
        seed: of the split of pairs and of each search.
        run: where the alignments are kept and the result is shown.

    Raises:
        ValueError: an argument is not allowed; the message names it, its value and what is.
    """
    as_adder(model)
    if not isinstance(model, ModularTransformer):
        raise InvalidArgumentError(
            f"model of type {type(model).__name__} is not allowed: it must be a transformer, whose sites are asked"
        )
    _check("variable", variables, PROGRAMS)
    _check("site", sites, SITES)
    _check("alignment", alignments, ALIGNMENTS)
    check_between("subspace_dim", subspace_dim, 1, model.config.hidden_size)
    counts, settings = options_of(PairCounts, pairs), options_of(SearchSettings, search)
    check_options(settings, counts, controls, engine)
    last = model.config.num_hidden_layers - 1
    found: dict[str, AlignmentResult] = {}
    options: dict[str, Any] = {"search": settings, "pairs": counts, "controls": controls, "engine": engine, "run": run}
    for variable in variables:
        for site in sites:
            # A search each, so that an interrupted run loses one at most.
            hypotheses = {
                f"{variable}_{site}_{kind}": Hypothesis(PROGRAMS[variable], variable, kind, subspace_dim, seed)
                for kind in alignments
            }
            task = _task(model, fraction, seed, position_of(variable, site))
            place = Site(site, 0 if site == "embeddings" else last)
            results = align_many(model, task, hypotheses, site=place, **options)
            found |= dict(zip(hypotheses, results, strict=True))
    return run.show(ModularCausal(found))


def _check(name: str, values: Sequence[str], known: Iterable[str]) -> None:
    if not values:
        raise InvalidArgumentError(f"{name}s=() is not allowed: choose from {', '.join(known)}")
    for value in values:
        check_name(name, value, known)


def _task(model: ModularTransformer, fraction: float | int, seed: int, position: str) -> ModularAddition:
    return ModularAddition(
        p=model.p,
        fraction=fraction,
        seed=seed,
        separate_vocabularies=model.config.separate_vocabularies,
        equals_sign=model.config.equals_sign,
        intervene_at=position,
    )
