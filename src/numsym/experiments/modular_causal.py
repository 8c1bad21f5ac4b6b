"""Where does a modular adder hold a, b and their sum? Interchange interventions at each stage, by DAS and by LAF.

[P] reads the algorithm off metrics and logits; this asks the same by exchanging one variable between two inputs
([N] section 3.3) at the embeddings, the attention output and the MLP output: does the answer follow?
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numsym.alignment import AlignmentResult, Hypothesis, SearchSettings, align_many
from numsym.errors import InvalidArgumentError, check_name
from numsym.experiments.clock_pizza import read_adder
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.models import ModularTransformer
from numsym.storage import new_folder, write_json, write_text
from numsym.tasks import ModularAddition

PROGRAMS = {"sum": "modular_sum", "first": "modular_operands", "second": "modular_operands"}
"""The program that each variable belongs to."""

SITES = ("embeddings", "attention_output", "mlp_output")
"""Stages of the last block, and the embeddings (token and position) before it."""

SHORT = SearchSettings(max_steps=400, check_every=100, patience=3)
"""A few hundred steps do here: the width is small, and p^2 pairs are all there is."""


@dataclass(frozen=True)
class ExchangePlan:
    """What is exchanged where.

    Attributes:
        variables: of "sum", "first" and "second".
        sites: of `SITES`.
        alignments: of "orthogonal" (DAS) and "linear" (LAF).
        subspace_dim: coordinates exchanged.
        fraction: share of all pairs that the search sees; IIA on the rest is held out.
        seed: of the split of pairs and of each search.
        controls: as for `numsym.align`.
        pairs: interchange pairs to train on.
    """

    variables: tuple[str, ...] = ("sum", "first", "second")
    sites: tuple[str, ...] = SITES
    alignments: tuple[str, ...] = ("orthogonal", "linear")
    subspace_dim: int = 16
    fraction: float | int = 0.8
    seed: int = 0
    controls: tuple[str, ...] = ("floor", "permuted")
    pairs: int = 10_000

    def __post_init__(self) -> None:
        for name, values, known in (("variable", self.variables, PROGRAMS), ("site", self.sites, SITES)):
            if not values:
                raise InvalidArgumentError(f"{name}s=() is not allowed: choose from {', '.join(known)}")
            for value in values:
                check_name(name, value, known)


def run(config: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Exchange the variables of the model at `model_path`, show the table, and write the run folder."""
    model = read_adder(config["model_path"])
    if not isinstance(model, ModularTransformer):
        raise InvalidArgumentError(f"model_path={config['model_path']!r} holds no transformer: there is no attention")
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["exchange"].items()}
    search = {name: options.pop(name) for name in ("max_steps", "patience")}
    plan = ExchangePlan(seed=config["seed"], **options)
    run_folder = RunFolder(folder, config)
    rows = exchange_table(model, folder / "exchanges", plan=plan, settings=replace(SHORT, **search))
    run_folder.finish({"exchanges": rows})
    display.console.print(table(rows))
    return rows


def exchange_table(
    model: ModularTransformer,
    folder: str | os.PathLike,
    *,
    plan: ExchangePlan | None = None,
    settings: SearchSettings | None = None,
) -> list[dict[str, Any]]:
    """Search for every variable at every site, and write `exchanges.json` and `exchanges.md` to a new folder.

    At the embeddings an operand is exchanged at its own token and the sum at the last one; later sites are read at the
    last position, where the answer is.

    Args:
        model: a transformer that adds.
        folder: must not exist.
        plan: what is exchanged where.
        settings: of each search.

    Returns:
        One row an alignment: variable, site, position, alignment, iia with its 95 % interval, held-out IIA, controls.

    Raises:
        RunFolderError: the folder exists.
    """
    plan, settings = plan or ExchangePlan(), settings or SHORT
    rows = []
    with new_folder(folder) as temporary:
        for variable in plan.variables:
            for site in plan.sites:
                rows += [_row(result, position) for position, result in _search(model, plan, settings, variable, site)]
        write_json(temporary / "exchanges.json", rows)
        write_text(temporary / "exchanges.md", table(rows))
    return rows


def _search(
    model: ModularTransformer, plan: ExchangePlan, settings: SearchSettings, variable: str, site: str
) -> list[tuple[str, AlignmentResult]]:
    position = {"first": "a", "second": "b"}.get(variable, "last") if site == "embeddings" else "last"
    task = ModularAddition(
        p=model.p,
        fraction=plan.fraction,
        seed=plan.seed,
        separate_vocabularies=model.config.separate_vocabularies,
        equals_sign=model.config.equals_sign,
        intervene_at=position,
    )
    layer = 0 if site == "embeddings" else model.config.num_hidden_layers - 1
    results = align_many(
        model,
        task,
        [Hypothesis(PROGRAMS[variable], variable, kind, plan.subspace_dim, plan.seed) for kind in plan.alignments],
        site=f"{site}:{layer}",
        settings=settings,
        controls=plan.controls,
        train_pairs=plan.pairs,
    )
    return [(position, result) for result in results]


def _row(result: AlignmentResult, position: str) -> dict[str, Any]:
    return {
        "variable": result.variables[0],
        "site": result.site.component,
        "position": position,
        "alignment": result.alignment,
        "subspace_dim": result.subspace_dim,
        "iia": result.test.iia.value,
        "low": result.test.iia.low,
        "high": result.test.iia.high,
        "heldout_iia": result.heldout_iia,
        **{name: share.value for name, share in result.controls.items()},
        "steps": result.steps,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table, shares in percent."""
    shares = [name for name in ("iia", "heldout_iia", "floor", "ceiling", "permuted", "untrained") if name in rows[0]]
    names = ["variable", "site", "position", "alignment", *shares]
    lines = [[name.replace("_", " ") for name in names], ["---"] * len(names)]
    for row in rows:
        lines.append([_percent(row[name]) if name in shares else str(row[name]) for name in names])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
