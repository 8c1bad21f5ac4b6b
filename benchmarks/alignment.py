"""The alignment search: the resumed engine against pyvene and against its floor, stacks, pairs, memory.

Run: python -m benchmarks.alignment   (--profile: where the time of one step goes)
"""

import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.timing import THREADS, best, report
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import Prepared, RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.interventions import LinearAlignmentIntervention, LowRankLinearAlignmentIntervention
from numsym.models import RecurrentConfig, RecurrentLM
from numsym.models.site import Site
from numsym.tasks import MultiObject

TASK = MultiObject()
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def model_of(width: int) -> RecurrentLM:
    model = RecurrentLM(RecurrentConfig(vocab_size=TASK.vocab_size, hidden_size=width)).to(DEVICE)
    return model.requires_grad_(False).eval()


def draw(n: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return interchange_pairs(TASK, TASK.program("up_down"), ("count",), n, generator=generator)


def stepper(engine, prepared, rows):
    optimiser = torch.optim.Adam(engine.parameters(), lr=1e-3)

    def step():
        loss, _ = engine.measure(prepared, rows, list(range(len(rows))))
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        optimiser.step()

    return step


def floor_of(model: RecurrentLM, prepared: Prepared, rows: torch.Tensor):
    """Torch's own GRU with frozen weights over the same packed tokens, from a state that takes a gradient, plus the
    decoder on the same scored positions."""
    rnn, rows = model.recurrent_layers[0].rnn, rows.to(prepared.base.device)
    ids, scored = prepared.ids[rows], prepared.scored[rows]
    targets, lengths = prepared.targets[rows][scored], prepared.lengths[rows]

    start = prepared.base[rows].clone().requires_grad_(True)
    some, longest = lengths.clamp(min=1).cpu(), ids.shape[1]

    def step():
        x = pack_padded_sequence(model.embed(ids), some, batch_first=True, enforce_sorted=False)
        states = pad_packed_sequence(rnn(x, start[None])[0], batch_first=True, total_length=longest)[0]
        seen = torch.cat([start[:, None], states], 1)
        loss = nn.functional.cross_entropy(model.decoder(seen[scored]), targets)
        start.grad = None
        loss.backward()

    return step


def unpacked(model: RecurrentLM, step):
    """A step in which the model runs torch's own recurrence, without our packed one."""

    def run():
        for layer in model.recurrent_layers:
            layer.packs = False
        step()
        for layer in model.recurrent_layers:
            layer.packs = True

    return run


def one_step(width: int = 128, batch: int = 256) -> list[dict]:
    model, pairs, rows = model_of(width), draw(4 * batch), torch.arange(batch)
    out = []
    for name in ("orthogonal", "linear"):
        fast = RecurrentEngine(model, Site(), [build(name, width, 16, 1, 0).to(DEVICE)])
        slow = PyveneEngine(model, Site(), [build(name, width, 16, 1, 0)])
        ready = fast.prepare(pairs)
        times = best(
            {
                "pyvene": stepper(slow, [slow.prepare(pairs)], [rows]),
                "pyvene over torch's GRU": unpacked(model, stepper(slow, [slow.prepare(pairs)], [rows])),
                "resumed": stepper(fast, [ready], [rows]),
                "floor": floor_of(model, ready, rows),
            }
        )
        head = f"search step, GRU {width}, batch {batch}, {name}"
        for other, ratio, target in (
            ("pyvene", times["pyvene"] / times["resumed"], ">= 6"),
            # Not what the target speaks of: what the pyvene route was before models had a packed recurrence.
            ("pyvene over torch's GRU", times["pyvene over torch's GRU"] / times["resumed"], "-"),
            ("floor", times["resumed"] / times["floor"], "<= 1.5"),
        ):
            label = f"{head}: against {other}"
            row = {"work": label, "ours ms": 1e3 * times["resumed"], "other ms": 1e3 * times[other]}
            out.append({**row, "ratio": ratio, "target": target})
    return out


def stacks(width: int = 20, members: int = 16, batch: int = 128) -> list[dict]:
    model, rows = model_of(width), torch.arange(batch)
    pairs = [draw(2 * batch, seed) for seed in range(members)]
    kinds = ["linear" if i % 2 else "orthogonal" for i in range(members)]

    def made(indices):
        engine = RecurrentEngine(model, Site(), [build(kinds[i], width, 8, 1, i).to(DEVICE) for i in indices])
        return stepper(engine, [engine.prepare(pairs[i]) for i in indices], [rows] * len(indices))

    together, single = made(range(members)), [made([i]) for i in range(members)]
    times = best({"stacked": together, "in turn": lambda: [step() for step in single]})
    row = {"work": f"{members} alignments, GRU {width}, batch {batch}: stacked against in turn"}
    row |= {"ours ms": 1e3 * times["stacked"], "other ms": 1e3 * times["in turn"]}
    return [{**row, "ratio": times["in turn"] / times["stacked"], "target": ">= 2"}]


def low_rank(width: int = 4096, rank: int = 64, batch: int = 16) -> list[dict]:
    """One training step of the intervention alone: exchange, backward, Adam."""
    base, source = torch.randn(2, batch, width, device=DEVICE)

    def step_of(kind, **options):
        intervention = kind(embed_dim=width, **options).to(DEVICE)
        intervention.set_interchange_dim(rank)
        optimiser = torch.optim.Adam(intervention.parameters(), lr=1e-3)

        def step():
            optimiser.zero_grad(set_to_none=True)
            intervention(base, source).square().mean().backward()
            optimiser.step()

        return step

    full = step_of(LinearAlignmentIntervention)
    times = best({"full": full, "low": step_of(LowRankLinearAlignmentIntervention, low_rank_dimension=rank)}, repeats=3)
    row = {"work": f"intervention step, width {width}, k {rank}: low-rank against full LAF"}
    row |= {"ours ms": 1e3 * times["low"], "other ms": 1e3 * times["full"]}
    return [{**row, "ratio": times["full"] / times["low"], "target": ">= 20"}]


def pairs_and_memory(n: int = 10_000) -> list[dict]:
    seconds = best({"pairs": lambda: draw(n)}, repeats=3)["pairs"]
    row = {"work": f"{n} training pairs with counterfactuals", "ours ms": 1e3 * seconds, "other ms": "-"}
    out = [{**row, "ratio": seconds, "target": "< 1 s"}]
    model, kept = model_of(128), {}
    for low, high in ((1, 2), (19, 20)):
        task = MultiObject(counts=(low, high), held_out=())
        program, where = task.program(), {"phase": 1, "count": (0, 1)}
        generator = torch.Generator().manual_seed(0)
        ready = RecurrentEngine(model, Site(), [build("linear", 128, 16, 1, 0)]).prepare(
            interchange_pairs(task, program, ("count",), 500, positions=where, generator=generator)
        )
        held = [value for value in vars(ready).values() if isinstance(value, torch.Tensor)]
        kept[high] = sum(t.numel() * t.element_size() for t in held) / 500
    row = {"work": "bytes kept a pair: prefixes of 20 objects against 2", "ours ms": "-", "other ms": "-"}
    return [*out, {**row, "ratio": kept[20] / kept[2], "target": "= 1"}]


def profiled(width: int = 128, batch: int = 256, steps: int = 20) -> None:
    """Print where the time of one search step by the LAF goes, by operation."""
    model, rows = model_of(width), torch.arange(batch)
    engine = RecurrentEngine(model, Site(), [build("linear", width, 16, 1, 0).to(DEVICE)])
    step = stepper(engine, [engine.prepare(draw(4 * batch))], [rows])
    step()
    with torch.profiler.profile() as profile:
        for _ in range(steps):
            step()
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=34))


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if "--profile" in sys.argv:
        return profiled()
    report("alignment", [*one_step(), *stacks(), *low_rank(), *pairs_and_memory()])


if __name__ == "__main__":
    main()
