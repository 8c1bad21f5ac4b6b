"""The alignment search over decoders of transformers: the suffix engine against pyvene, what it keeps, and a sweep.

Run: python -m benchmarks.decoders [step] [sweep]

Times are CPU time of one thread: a step of pyvene's takes so long that other work on a machine would blur the ratio.
"""

import runpy
import sys
from pathlib import Path
from time import process_time

import torch
import transformers as hf
from torch import nn

from benchmarks.alignment import DEVICE, stepper
from benchmarks.timing import best, report
from numsym.alignment import Hypothesis
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import Pairs, interchange_pairs
from numsym.models import TransformerConfig, TransformerLM, load
from numsym.models.site import Site
from numsym.studies import site_sweep
from numsym.tasks import AdditionPrompts, MultiObject

LAYERS, WIDTH, VOCAB, TOKENS, BATCH, REPEATS = 12, 768, 50257, 64, 16, 3
SITE = Site("block_output", 6)


def decoder(layers: int = LAYERS, width: int = WIDTH, vocab: int = VOCAB) -> nn.Module:
    """A GPT-2 with random weights."""
    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=vocab, n_embd=width, n_layer=layers, n_head=width // 64)
    return load(hf.GPT2LMHeadModel(config)).requires_grad_(False).eval().to(DEVICE)


def prompts(before: int, shared: int = 0, n: int = BATCH) -> Pairs:
    """Prompts of `TOKENS` random tokens with one answer, and an exchange `before` tokens before the last of them."""
    generator = torch.Generator().manual_seed(before + shared)
    ids, source = torch.randint(VOCAB, (2, n, TOKENS + 1), generator=generator)
    ids[:, :shared] = source[:, :shared] = ids[0, :shared]
    at, zero = torch.full((n,), TOKENS - 1 - before), torch.zeros(n, dtype=torch.long)
    place = torch.arange(TOKENS + 1).expand(n, -1)
    return Pairs(
        base_ids=ids,
        base_mask=place >= 0,
        scored=place == TOKENS,
        base_at=at,
        source_ids=source[:, :TOKENS],
        source_mask=place[:, :TOKENS] <= at[:, None],
        source_at=at,
        block=zero,
        base_value=zero,
        source_value=zero,
        changed=zero == 0,
        base_counts=zero,
        source_counts=zero,
        state={},
        variables=("sum",),
    )


def against_pyvene(model: nn.Module, before: int, target: float) -> dict[str, str | float]:
    """A row: one optimiser step of each route; tests show their losses and gradients equal."""
    pairs, rows, steps = prompts(before), torch.arange(BATCH), {}
    for kind in (SuffixEngine, PyveneEngine):
        engine = kind(model, SITE, [build("low_rank", WIDTH, 16, 1, 0).to(DEVICE)])
        steps[kind.__name__] = stepper(engine, [engine.prepare(pairs)], [rows])
    times = best(steps, REPEATS, process_time)
    ours, other = (1e3 * times[kind.__name__] for kind in (SuffixEngine, PyveneEngine))
    where = "the last token" if before == 0 else f"{before} tokens before the last"
    row = {"work": f"search step, GPT-2 {LAYERS} x {WIDTH}, {TOKENS} tokens, {SITE}, low_rank 16, exchange at {where}"}
    return {**row, "ours ms": ours, "other ms": other, "ratio": other / ours, "target": f">= {target:g}"}


def kept_of_shared(model: nn.Module, shared: int = 56) -> dict[str, str | float]:
    """A row: what is kept of prompts that begin alike, against prompts that do not."""
    sizes = []
    for alike in (shared, 0):
        engine = SuffixEngine(model, SITE, [build("low_rank", WIDTH, 16, 1, 0).to(DEVICE)])
        kept = engine.prepare(prompts(0, alike)).kept
        assert kept is not None
        sizes.append(kept.nbytes / BATCH / 1024)
    row = {"work": f"KiB kept a pair, {shared} of {TOKENS} tokens shared, against none"}
    return {**row, "ours ms": "-", "other ms": "-", "ratio": sizes[1] / sizes[0], "target": ">= 5"}


def against_packed(layers: int = 6, width: int = 256, batch: int = 128) -> dict[str, str | float]:
    """A row: counting pairs on a GPT-2, and the packed engine on a transformer of numsym's of the same size."""
    task, site = MultiObject(void_prob=0.2), Site("block_output", layers // 2 - 1)
    generator = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(task, task.program("up_down"), ("count",), batch, generator=generator)
    config = TransformerConfig(
        vocab_size=task.vocab_size, hidden_size=width, num_layers=layers, num_heads=width // 64, positions="learned"
    )
    own = nn.Module.to(TransformerLM(config).eval().requires_grad_(False), DEVICE)
    steps = {}
    for kind, model in ((SuffixEngine, decoder(layers, width, task.vocab_size)), (TransformerEngine, own)):
        engine = kind(model, site, [build("linear", width, 16, 1, 0).to(DEVICE)])
        steps[kind.__name__] = stepper(engine, [engine.prepare(pairs)], [torch.arange(batch)])
    times = best(steps, 2 * REPEATS, process_time)
    ours, other = (1e3 * times[kind.__name__] for kind in (SuffixEngine, TransformerEngine))
    row = {
        "work": f"search step, {layers} x {width}, {batch} counting pairs, against the packed engine of numsym's own"
    }
    return {**row, "ours ms": ours, "other ms": other, "ratio": other / ours, "target": "-"}


def sweep(layers: int = LAYERS, width: int = 128, tokens: int = 10, steps: int = 10) -> list[dict[str, str | float]]:
    """Rows: a map of all layers by ten tokens of a prompt, and half of the layers; pyvene's from a few of its cells."""
    example = Path(__file__).parents[1] / "examples" / "huggingface.py"
    tokenizer = runpy.run_path(str(example), run_name="example")["own_tokenizer"]()
    task = AdditionPrompts(tokenizer=tokenizer, largest=4, shots=3, only_right=False)
    model, end = decoder(layers, width, task.vocab_size), int(task.landmarks(task.sample(1).input_ids)["last"]) + 1
    asked = {"sum": Hypothesis("prompt_sum", "sum", "low_rank", 16)}

    def seconds(sites: list[Site], where: list[int], engine: str) -> float:
        started = process_time()
        site_sweep(
            model,
            task,
            asked,
            sites=sites,
            tokens=where,
            search={"max_steps": steps, "batch_size": BATCH, "check_every": steps},
            pairs={"train": 64, "validation": 32, "test": 32},
            controls=("floor",),
            engine=engine,
        )
        return process_time() - started

    whole, last = [Site("block_output", layer) for layer in range(layers)], list(range(end - tokens, end))
    few = [whole[0], whole[layers // 2], whole[-1]]
    seconds(few[:1], last[:1], "auto")
    cells, half, all_of_it = len(whole) * tokens, seconds(whole[::2], last, "auto"), seconds(whole, last, "auto")
    pyvene = seconds(few, [last[0], last[-1]], "pyvene") * cells / 6
    shape = f"{layers} layers x {tokens} tokens of {end}, width {width}, {steps} steps a cell"
    row: dict[str, str | float] = {"work": "", "ours ms": 1e3 * all_of_it}
    return [
        {**row, "work": f"sweep, {shape}", "other ms": 1e3 * pyvene, "ratio": pyvene / all_of_it, "target": "-"},
        {
            **row,
            "work": "all of its layers, half of them",
            "other ms": 1e3 * half,
            "ratio": all_of_it / half,
            "target": "2",
        },
    ]


def main() -> None:
    torch.set_num_threads(1)
    asked, rows = sys.argv[1:] or ["step", "sweep"], []
    if "step" in asked:
        model = decoder()
        rows += [against_pyvene(model, 0, 30), against_pyvene(model, 8, 10), kept_of_shared(model), against_packed()]
    if "sweep" in asked:
        rows += sweep()
    report("decoders", rows, whole=len(asked) > 1)


if __name__ == "__main__":
    main()
