"""The two sides of interchange pairs: trials, a position in each, and which of them may meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_name
from numsym.programs import Program, State, state_at
from numsym.tasks import Task

Positions = Mapping[str, int | tuple[int, int]] | Sequence[int | str]
"""Where to intervene: variable -> its value, or the lowest and highest that count; or at which tokens of every trial,
all together: by index from its start, or by the names that the task has for them (`Task.landmarks`)."""

SHOWN = 256
"""Trials that show how long the shortest is."""

TRIES = 100
"""How often trials are drawn again when too few of them can be used."""


@dataclass(frozen=True)
class Half:
    """One side of the pairs.

    Attributes:
        input_ids: (batch, pos) the trials.
        counts: (batch,) the numbers that they are about.
        at: (batch,) the position in each.
        place: (batch,) what kind of position that is (`Task.places`).
        tokens: (batch, token) where the model's values are taken or exchanged: there too, or where it was asked for.
        state: the program's state at `at`.
    """

    input_ids: Int[Tensor, "batch pos"]
    counts: Int[Tensor, "batch"]
    at: Int[Tensor, "batch"]
    place: Int[Tensor, "batch"]
    tokens: Int[Tensor, "batch token"]
    state: State

    def __len__(self) -> int:
        return len(self.at)

    def rows(self, index: Tensor | slice) -> "Half":
        """Some of the trials."""
        state = {name: value[index] for name, value in self.state.items()}
        own = (self.input_ids, self.counts, self.at, self.place, self.tokens)
        ids, counts, at, place, tokens = (side[index] for side in own)
        return Half(ids, counts, at, place, tokens, state)

    @classmethod
    def joined(cls, halves: list["Half"], n: int, pad: int) -> "Half":
        """The first `n` rows of several."""
        longest = max(half.input_ids.shape[1] for half in halves)
        widened = [nn.functional.pad(h.input_ids, (0, longest - h.input_ids.shape[1]), value=pad) for h in halves]
        return cls(
            torch.cat(widened)[:n],
            torch.cat([half.counts for half in halves])[:n],
            torch.cat([half.at for half in halves])[:n],
            torch.cat([half.place for half in halves])[:n],
            torch.cat([half.tokens for half in halves])[:n],
            {name: torch.cat([half.state[name] for half in halves])[:n] for name in halves[0].state},
        )


def draw_pairs(
    base: tuple[Task, Program],
    source: tuple[Task, Program],
    blocks: list[tuple[str, ...]],
    n: int,
    split: str,
    positions: Positions,
    generator: torch.Generator | None,
) -> tuple[Half, Half, Int[Tensor, "batch"]]:
    """`n` bases and sources at positions of one kind, and which of `blocks` each exchanges; only what is admitted.

    Raises:
        InvalidArgumentError: no position satisfies `positions`, or the program admits too few exchanges.
    """
    found: list[tuple[Half, Half, Tensor]] = []
    for _ in range(TRIES):
        one, other = (_draw(*side, n, split, positions, generator) for side in (base, source))
        block = torch.randint(len(blocks), (n,), generator=generator, device=one.at.device)
        rows, partners = matched(one.place, other.place)
        one, other, block = one.rows(rows), other.rows(partners), block[rows]
        admitted = torch.stack([base[1].admits(one.state, other.state, names) for names in blocks])
        rows = admitted.gather(0, block[None])[0].nonzero()[:, 0]
        found.append((one.rows(rows), other.rows(rows), block[rows]))
        if sum(len(half) for half, _, _ in found) >= n:
            ones, others, chosen = zip(*found, strict=True)
            pads = base[0].vocabulary.pad, source[0].vocabulary.pad
            return Half.joined([*ones], n, pads[0]), Half.joined([*others], n, pads[1]), torch.cat(chosen)[:n]
    names = ", ".join(dict.fromkeys(name for block in blocks for name in block))
    raise InvalidArgumentError(
        f"variable {names} is not allowed here: of {n * TRIES} pairs only "
        f"{sum(len(half) for half, _, _ in found)} may exchange it"
    )


def matched(base: Int[Tensor, "base"], source: Int[Tensor, "source"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Rows of base and source with equal values, each row once, in the order of the base; all rows if all agree."""
    longest = max(len(base), len(source))
    base, source = _numbered(base, longest), _numbered(source, longest)
    ordered, order = source.sort()
    at = torch.searchsorted(ordered, base).clamp(max=len(source) - 1)
    rows = (ordered[at] == base).nonzero()[:, 0]
    return rows, order[at[rows]]


def _numbered(place: Int[Tensor, "batch"], longest: int) -> Int[Tensor, "batch"]:
    """A key a row: its value, and how many rows before it have that value."""
    ordered, order = place.sort(stable=True)
    before = torch.arange(len(place), device=place.device) - torch.searchsorted(ordered, ordered)
    return torch.empty_like(place).scatter_(0, order, ordered * longest + before)


def _draw(
    task: Task, program: Program, n: int, split: str, positions: Positions, generator: torch.Generator | None
) -> Half:
    """`n` trials with an eligible position each."""
    wanted = positions if isinstance(positions, Mapping) else {}
    for name in wanted:
        check_name("variable in positions", name, program.variables)
    found: list[Half] = []
    for _ in range(TRIES):
        batch = task.sample(n, generator=generator, split=split)
        states = task.trace(program, batch).states
        eligible = task.intervenable(batch.input_ids)
        for name, value in wanted.items():
            low, high = (value, value) if isinstance(value, int) else value
            eligible = eligible & (states[name] >= low) & (states[name] <= high)
        tokens = None
        if not isinstance(positions, Mapping):
            tokens = tokens_at(task, batch.input_ids, positions)
            eligible = _first_from(eligible, tokens.amax(1))
        some = eligible.any(1)
        if some.any():
            rows = some.nonzero()[:, 0]
            at = torch.multinomial(eligible[rows].float(), 1, generator=generator)[:, 0]
            state = state_at({name: values[rows] for name, values in states.items()}, at)
            place = task.places(batch.input_ids)[rows].gather(1, at[:, None])[:, 0]
            where = at[:, None] if tokens is None else tokens[rows]
            found.append(Half(batch.input_ids[rows], batch.counts[rows], at, place, where, state))
        if sum(len(half) for half in found) >= n:
            return Half.joined(found, n, task.vocabulary.pad)
    raise InvalidArgumentError(
        f"positions={positions!r} is not allowed: of {n * TRIES} trials only "
        f"{sum(len(half) for half in found)} have such a position, or a later one where {task.name} allows an exchange"
    )


def check_positions(task: Task, positions: Positions | None) -> None:
    """Raise what `tokens_at` raises, on some trials of the task; and where no exchange is allowed from them on."""
    if positions is None or isinstance(positions, Mapping):
        return
    ids = task.sample(SHOWN, generator=torch.Generator().manual_seed(0)).input_ids
    last = tokens_at(task, ids, positions).amax(1)
    if not bool(_first_from(task.intervenable(ids), last).any()):
        raise InvalidArgumentError(
            f"positions={list(positions)!r} is not allowed: {task.name} allows no exchange there or later"
        )


def tokens_at(
    task: Task, input_ids: Int[Tensor, "batch pos"], positions: Sequence[int | str]
) -> Int[Tensor, "batch token"]:
    """The positions of some tokens in each of some trials, by index or by the task's names.

    Raises:
        UnknownNameError: the task has no such name.
        InvalidArgumentError: there are none, one is given twice, or an index is outside of the shortest trial.
    """
    if isinstance(positions, str | bytes) or not positions or len(set(positions)) < len(positions):
        raise InvalidArgumentError(f"positions={positions!r} is not allowed: give a list of tokens, each once")
    shortest, named = int((input_ids != task.vocabulary.pad).sum(1).min()), task.landmarks(input_ids)
    found = []
    for one in positions:
        if isinstance(one, str):
            found.append(named[check_name(f"position of {task.name}", one, named)])
        elif not 0 <= one < shortest:
            raise InvalidArgumentError(
                f"positions={list(positions)!r} is not allowed: {one} is outside of the shortest trial of {task.name}, "
                f"whose {shortest} tokens are 0..{shortest - 1}"
            )
        else:
            found.append(torch.full_like(input_ids[:, 0], one))
    return torch.stack(found, 1)


def _first_from(eligible: Bool[Tensor, "batch pos"], last: Int[Tensor, "batch"]) -> Bool[Tensor, "batch pos"]:
    """Where the program's variable is exchanged, when the model's values are at tokens of which this is the last.

    That is there; where the task never allows an exchange there, as at an operand of a prompt about whose answer it
    asks, it is the first position after it at which it does.
    """
    position = torch.arange(eligible.shape[1], device=eligible.device)
    exact = eligible & (position == last[:, None])
    later = eligible & (position >= last[:, None])
    return exact if bool(exact.any()) else later & (later.long().cumsum(1) == 1)
