"""The page on the replication of [N]: verdicts, tables, figures, and what was not run."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from numsym.shares import Mean
from numsym.storage import write_text
from numsym.studies.collect import Run
from numsym.studies.replication import needed
from numsym.studies.replication.claims import HIGH, Cell, Claimed, cells
from numsym.studies.replication.figures import graded_iia, iia_of_cells
from numsym.studies.replication.former import FORMER

PAGE = "replication.md"
PAPER: dict[str, Any] = {
    "tasks.training.learning_rate": 0.0005,
    "tasks.training.batch_size": 128,
    "pairs.train": 10000,
    "pairs.validation": 1000,
    "search.batch_size": 128,
    "search.learning_rate": 0.001,
    "search.check_every": 100,
    "search.patience": 10,
    "search.stop_at": 0.995,
    "search.schedule": "constant",
    "search.starts": "random",
    "search.wrong_share": 0.0,
    "search.warm_up": 0,
    "search.beta2": 0.999,
    "search.average": 0,
}
"""[N]'s settings (appendix). It names no most steps of a search."""

HISTORY = """The setting is one for all recurrent networks and tasks, the sixth of this page \
(`src/numsym/lab/conf/replication/setting.yaml`). It was fixed before the first of its runs; what \
had been seen by then:

1. 200 steps in batches of 32: four networks of seed 0 (three GRUs of width 20, one of 128). LAFs ended below the \
former page's, which was the search's failure and no network's.
2. 500 steps in batches of 128, by what LAFs reach on other GRUs of width 20 on the same tasks, and by the time of a \
GRU of width 128. Stopped, unread, when those other GRUs had shown on Same-Object that `conditional` ends higher \
when half of a batch may be pairs that were wrong when last seen.
3. With such pairs, twelve networks: the GRUs of width 20, and those of width 128 of seed 0. It stopped a search \
after 200 steps without a better IIA, too soon for LAFs of width 128, which fell from their start before they rose.
4. No search stopped before its 500 steps unless it is done: the same twelve networks. LAFs of width 128 were still \
searched for at a rate that was chosen at width 20.
5. The rate falls with a site's width (`docs/search.md`), and batches are of 64, to save time. All 36 networks. LAFs \
of LSTMs, whose state is 256 wide, mostly fell from their start: Single-Object's count 26, Multi-Object's 45.
6. The rate first rises, Adam forgets sooner, and the mean of the last parameters is kept: ways to descend that were \
compared on GRUs of width 20 and an LSTM of width 64 of seed 0 (`docs/search.md`), then tried on the LAF's and the \
rotation's count on the LSTMs of seed 0 (LAF: Single-Object 95.8 where the fifth had 26.9, Multi-Object 95.4 where it \
had 92.0). The rest as in the fifth.

So the networks are those of the fifth setting, whose results had all been read: what is blind is how the sixth ends \
on them, but for those two. Transformers are of the fifth setting, and were not run again: exchanging the whole state \
reaches 18 there, which no descent changes. They have 300 steps in batches of 32, since a \
step costs four times as much, and only the variables that a claim is about.

The criteria of [N]'s claims are those of the former page, which were written when its first runs had been seen. The \
criteria of the claims that [N] does not make were fixed before the first of the runs above, but after pilots on \
some of the same networks (Same-Object, linear given the phase). The searches take at most 500 steps from starts in \
closed form on 4,000 pairs, one try each: what they do not find is not shown to be absent. Up-Up's resp_count, which \
the former page has, was left out to save time. IIA over training was not measured anew: its verdict stands on the \
former page. That page, of searches from a random start, is [here](replication_0_1.md). The whole is 36 runs (three \
recurrent networks and a transformer, three tasks, three seeds); a verdict below speaks of those that are finished, \
and of no others."""
"""What a reader must know of how the page came to be."""

CONTROLS = ("floor", "ceiling", "neurons")
SEARCHED = ("permuted", "untrained")


def write_page(page: Path, runs: Sequence[Run], judged: Sequence[Claimed]) -> None:
    """Write the page, and its figures into `images/` beside it."""
    found = sorted(cells(runs), key=lambda cell: (cell.network, cell.task))
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, title, figure in (
        ("replication_iia.png", "IIA of every alignment; a dot a seed", iia_of_cells(found) if found else None),
        ("replication_graded.png", "IIA of the count (LAF), graded", graded_iia(found) if found else None),
    ):
        if figure is not None:
            figure.savefig(images / name, format="png", bbox_inches="tight", dpi=150)
            shown.append(f"![{title}](images/{name})")
    write_text(page, text(runs, found, judged, shown))


def text(runs: Sequence[Run], found: Sequence[Cell], judged: Sequence[Claimed], figures: Sequence[str]) -> str:
    """The page as Markdown."""
    grid = [run for run in runs if "network" in run.config]
    done = [run for run in grid if run.status == "finished"]
    seeds = sorted({run.config["seed"] for run in done})
    parts = [
        "# Replication of [N]",
        "Written by `numsym experiment=replication` from run folders (`make replication`), not by hand. A cell is a "
        "network, a task, a variable and an alignment function, with its mean over seeds. A claim is *reproduced* if "
        "every cell meets its criterion, *not reproduced* if none does, *different* if some do, *not measured* if "
        "there is none. The criteria stand in `src/numsym/studies/replication/claims.py`.",
        HISTORY,
        f"{len(done)} of {len(grid)} runs are finished, with seeds {', '.join(map(str, seeds))}. " + _versions(done),
        "## Claims",
        _table(
            ["claim", "verdict", "criterion", "numbers (IIA, or its gap, in points)"],
            [[one.claim, f"**{one.verdict}**", one.criterion, one.numbers] for one in judged],
        ),
        "## Which function each network needs",
        "The first of rotation, LAF and `conditional` (linear given the phase; one code where the phase itself is "
        f"exchanged) with an IIA of at least {HIGH:.0%}, {100 * needed.BESIDE:.0f} points above its permuted sources "
        "and untrained twin. And where a search of the former page ended below that, what its failure was: *the "
        "search's* if the same function has the variable now, *the map's* if another has it, *the network's* if none "
        f"has it and an exchange of the whole site ends below {HIGH:.0%} too; else no function has it: the network "
        "holds no such variable, or this search did not find it either. (*The network's* was added when two "
        "transformers had been read.)",
        _table(
            ["network", "task", "variable (program)", "function (IIA)", "failures of the former search"],
            needed.rows(found),
        ),
        "## Settings",
        "What differs from [N]'s settings, and what [N] does not say:",
        *_settings(done),
        "## IIA",
        "In percent: the mean over seeds with Student's 95 % t-interval over seeds, cut to 0..100. Held-out is IIA on "
        "counts that neither training nor search saw; *permuted* is the same search with sources that tell nothing, "
        "*untrained* with fresh weights, each for DAS, LAF and conditional; *random* is the best of ten random "
        "subspaces; the other controls are as in the README. A number stands alone where there is one seed. *0.1* are "
        "the former page's means over three seeds.",
        *figures,
        *_tables(found, done),
    ]
    lost = _without_results(grid)
    if lost:
        parts += ["## Runs without results", _table(["run", "status", "why"], lost)]
    return "\n\n".join(parts) + "\n"


def _without_results(grid: Sequence[Run]) -> list[list[str]]:
    """A row a run of the grid that failed, stopped, or was never begun."""
    there = {tuple(str(run.config[name]) for name in ("network", "tasks.name", "seed")): run for run in grid}
    axes = [list(dict.fromkeys(key[i] for key in there)) for i in range(3)]
    rows = []
    for key in product(*axes):
        run = there.get(key)
        if run is None:
            rows.append([", ".join(key), "not begun", "there is no run folder"])
        elif run.status != "finished":
            rows.append([", ".join(key), run.status, run.reason.replace("\n", " ").replace("|", "\\|")])
    return rows


def _versions(runs: Sequence[Run]) -> str:
    return f"Versions: {', '.join(f'{name} {value}' for name, value in runs[0].versions.items())}." if runs else ""


def _settings(runs: Sequence[Run]) -> list[str]:
    lines = []
    for network in sorted({run.config["network"] for run in runs}):
        config = next(run.config for run in runs if run.config["network"] == network)
        said = [
            f"`{name}` {_value(config.get(name))} ([N]: {value})"
            for name, value in PAPER.items()
            if config.get(name, value) != value
        ]
        said += [f"`{name}` {config.get(name)}" for name in ("search.max_steps", "tasks.training.steps")]
        lines.append(f"- {network}: {', '.join(said)}.")
    return ["\n".join(lines)] if lines else []


def _value(setting: Any) -> str:
    """Only the rate may be left open."""
    return "by the site's width" if setting is None else str(setting)


def _tables(found: Sequence[Cell], runs: Sequence[Run]) -> list[str]:
    """For each network and task: how well it does the task, and its cells."""
    parts = []
    heads = [
        "variable (program)",
        "DAS",
        "LAF",
        "conditional",
        "0.1: DAS, LAF",
        "held-out",
        *SEARCHED,
        "random",
        *CONTROLS,
    ]
    for network, task in dict.fromkeys((cell.network, cell.task) for cell in found):
        mine = [cell for cell in found if (cell.network, cell.task) == (network, task)]
        trained = [r for r in runs if (r.config["network"], r.config["tasks.name"]) == (network, task)]
        accuracy = Mean.of([r.results["training"]["evaluation"]["accuracy"] for r in trained])
        parts.append(f"### {network}, {task}\n\nTrial accuracy {_percent(accuracy)} % (n = {accuracy.n}).")
        rows = []
        for key, by_function in needed.by_variable(mine).items():
            three = [by_function.get(function) for function in needed.RICHER]
            one = next(cell for cell in (*three, *by_function.values()) if cell is not None)
            before = FORMER.get(key[:3], {}).get(key[3])
            rows.append([
                f"{key[3]} ({key[2]})", *(_iia(cell) for cell in three),
                f"{before[0]}, {before[1]}" if before else "-",
                ", ".join(_iia(cell, "held_out", brief=True) for cell in three),
                *(", ".join(_control(cell, name) for cell in three) for name in SEARCHED),
                _iia(by_function.get(needed.RANDOM), brief=True), *(_control(one, name) for name in CONTROLS),
            ])  # fmt: skip
        parts.append(_table(heads, rows))
    return parts


def _iia(cell: Cell | None, where: str = "test", brief: bool = False) -> str:
    values = [one[where]["iia"]["value"] for one in cell.alignments if one[where]] if cell else []
    if brief and values:
        return f"{100 * Mean.of(values).value:.1f}"
    return _percent(Mean.of(values)) if values else "-"


def _control(cell: Cell | None, name: str) -> str:
    value = cell.control(name) if cell else None
    return "-" if value is None else f"{100 * value:.1f}"


def _percent(mean: Mean) -> str:
    interval = f" [{100 * max(0.0, mean.low):.1f}, {100 * min(1.0, mean.high):.1f}]" if mean.n > 1 else ""
    return f"{100 * mean.value:.1f}{interval}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
