"""Interchange pairs: two inputs, where to exchange which variable, and what follows then ([N] section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from numsym.alignment.drawing import Half, Positions, draw_pairs
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.programs import Program, State, state_at, unroll
from numsym.tasks import Task


@dataclass(frozen=True)
class Pairs:
    """Interchange pairs, rows padded on the right.

    The base is its prefix up to the exchange and then the counterfactual tokens: what the program emits after the
    exchange. The source ends at the position that it gives its value from.

    Attributes:
        base_ids, base_mask: (batch, pos); tokens and where they are real.
        scored: (batch, pos) bool; the predictable tokens after the exchange, on which IIA is measured.
        base_at: (batch,) the position after whose token the exchange happens.
        source_ids, source_mask: (batch, source_pos).
        source_at: (batch,) the position of the source's value.
        block: (batch,) which of `variables` each pair exchanges.
        base_value, source_value: (batch,) the exchanged variable's values (the first one's, where "full" has several),
            in whole units of it.
        changed: (batch,) bool; the exchange gives one of the exchanged variables another value.
        base_counts, source_counts: (batch,) the numbers that the two trials are about.
        state: the base's program after the exchange: what the counterfactual continues from.
        variables: the blocks, by name; a name, or "full".
        base_state, source_state: every variable of the program by name, (batch,) each: what the base had before the
            exchange, and what the source has; empty in pairs that are not from `interchange_pairs`.
        base_tokens, source_tokens: (batch, token) where the model's values are exchanged together, if not at `base_at`
            and `source_at` alone; see `base_places`.
    """

    base_ids: Int[Tensor, "batch pos"]
    base_mask: Bool[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]
    base_at: Int[Tensor, "batch"]
    source_ids: Int[Tensor, "batch source_pos"]
    source_mask: Bool[Tensor, "batch source_pos"]
    source_at: Int[Tensor, "batch"]
    block: Int[Tensor, "batch"]
    base_value: Int[Tensor, "batch"]
    source_value: Int[Tensor, "batch"]
    changed: Bool[Tensor, "batch"]
    base_counts: Int[Tensor, "batch"]
    source_counts: Int[Tensor, "batch"]
    state: State
    variables: tuple[str, ...]
    base_state: State = field(default_factory=dict)
    source_state: State = field(default_factory=dict)
    base_tokens: Int[Tensor, "batch token"] | None = None
    source_tokens: Int[Tensor, "batch token"] | None = None

    @property
    def base_places(self) -> Int[Tensor, "batch token"]:
        """Where the model's values are exchanged, one column for each position exchanged together."""
        return self.base_at[:, None] if self.base_tokens is None else self.base_tokens

    @property
    def source_places(self) -> Int[Tensor, "batch token"]:
        """Where each of them comes from."""
        return self.source_at[:, None] if self.source_tokens is None else self.source_tokens

    def __len__(self) -> int:
        return len(self.base_at)

    def rows(self, index: Tensor | slice) -> "Pairs":
        """Some of the pairs, cut to the longest base and source among them."""
        picked = self._map(lambda tensor: tensor[index])
        base, source = (_last(mask) + 1 for mask in (picked.base_mask, picked.source_mask))
        return replace(
            picked,
            base_ids=picked.base_ids[:, :base],
            base_mask=picked.base_mask[:, :base],
            scored=picked.scored[:, :base],
            source_ids=picked.source_ids[:, :source],
            source_mask=picked.source_mask[:, :source],
        )

    def to(self, device: torch.device | str) -> "Pairs":
        """The same pairs on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def with_permuted_sources(self, generator: torch.Generator) -> "Pairs":
        """The same bases and counterfactuals with each other's sources: nothing in a source tells what follows."""
        order = torch.randperm(len(self), generator=generator).to(self.base_at.device)
        names = ("source_ids", "source_mask", "source_at", "source_value", "source_counts", "source_tokens")
        sides = {name: getattr(self, name) for name in names}
        state = {name: values[order] for name, values in self.source_state.items()}
        moved = {name: side[order] for name, side in sides.items() if side is not None}
        return replace(self, source_state=state, **moved)

    def without(self, seen: "Pairs") -> "Pairs":
        """Those pairs whose prefixes, positions and exchanged variable are not among `seen`'s."""
        known = set(seen.keys())
        fresh = [row for row, key in enumerate(self.keys()) if key not in known]
        return self.rows(torch.tensor(fresh, dtype=torch.long, device=self.base_at.device))

    def keys(self) -> list[tuple[bytes, bytes, int]]:
        """Where each pair meets: prefixes of base and source up to their positions, and the exchanged block."""
        base, source = self.base_ids.to(torch.int32).cpu().numpy(), self.source_ids.to(torch.int32).cpu().numpy()
        ends = zip(self.base_at.tolist(), self.source_at.tolist(), self.block.tolist(), strict=True)
        return [(base[i, : t + 1].tobytes(), source[i, : s + 1].tobytes(), b) for i, (t, s, b) in enumerate(ends)]

    def _map(self, function) -> "Pairs":  # type: ignore[no-untyped-def]
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        states: dict[str, Any] = {
            kind: {name: function(value) for name, value in getattr(self, kind).items()}
            for kind in ("state", "base_state", "source_state")
        }
        return replace(self, **states, **{name: function(value) for name, value in tensors.items()})


def _last(mask: Bool[Tensor, "batch pos"]) -> int:
    """The last position that is real in any row; -1 if there is none."""
    real = mask.any(0).nonzero()
    return int(real[-1]) if len(real) else -1


def interchange_pairs(
    task: Task,
    program: Program,
    variables: tuple[str, ...],
    n: int,
    *,
    split: str = "train",
    positions: Positions | None = None,
    generator: torch.Generator | None = None,
    source: tuple[Task, Program] | None = None,
) -> Pairs:
    """Draw `n` interchange pairs with their counterfactuals.

    Base and source are trials of the split; in each, a position is drawn uniformly among those where the task allows
    an intervention, and at both it is of one kind (`Task.places`). Each pair exchanges one of `variables`, drawn
    uniformly; "full" is all of the program's. Pairs that the program does not admit are drawn again.

    Trials and positions are drawn before the program has its say, and what is not predictable in what follows has
    randomness of its own. So a generator seeded the same gives another program the same trials and positions, as long
    as both admit all of them, and only the counterfactual differs: hypotheses can be compared pair by pair.

    Args:
        task: where the trials come from.
        program: the hypothesis, whose variables are exchanged and which says what follows.
        variables: the blocks.
        n: how many pairs.
        split: of both trials.
        positions: intervene only where these variables have these values, in base and source; or exchange the model's
            values at these tokens, all together, and the program's variable at the last of them, or after it where the
            task allows it only there.
        generator: the source of randomness; its device is where the pairs are made.
        source: where the sources come from, if not from `task` and `program`: another task and its program, which has
            the variables too.

    Raises:
        UnknownNameError: the program has no such variable.
        InvalidArgumentError: there are no variables, no position of the task's trials satisfies `positions`, or the
            program admits too few exchanges of these variables.
    """
    check_at_least("n", n, 1)
    if not variables:
        raise InvalidArgumentError("variables=() is not allowed: give at least one, or use unexchanged")
    blocks, giving = [program.block(variable) for variable in variables], source or (task, program)
    for name in dict.fromkeys(name for names in blocks for name in names):
        check_name("variable of the source's program", name, giving[1].variables)
    where: Positions = {} if positions is None else positions
    drawn = draw_pairs((task, program), giving, blocks, n, split, where, generator)
    made = _paired((task, program), giving, variables, drawn, generator)
    if isinstance(where, Mapping):
        return made
    return replace(made, base_tokens=drawn[0].tokens, source_tokens=drawn[1].tokens)


def _paired(
    own: tuple[Task, Program],
    giving: tuple[Task, Program],
    variables: tuple[str, ...],
    drawn: tuple[Half, Half, Tensor],
    generator: torch.Generator | None,
) -> Pairs:
    """The exchange of drawn bases with sources, and what then follows in the bases."""
    (task, program), (base, given, block) = own, drawn
    blocks = [program.block(variable) for variable in variables]
    state, changed = _exchanged(blocks, block, base.state, given.state)
    source_mask = torch.arange(given.input_ids.shape[1], device=given.at.device) <= given.at[:, None]
    return Pairs(
        **_continued(task, program, base.input_ids, base.at, state, _fork(generator, base.at.device)),
        base_at=base.at,
        source_ids=torch.where(source_mask, given.input_ids, giving[0].vocabulary.pad),
        source_mask=source_mask,
        source_at=given.at,
        block=block,
        base_value=_value(program, blocks, block, base.state),
        source_value=_value(program, blocks, block, given.state),
        changed=changed,
        base_counts=base.counts,
        source_counts=given.counts,
        state=state,
        variables=variables,
        base_state={name: base.state[name] for name in program.variables},
        source_state={name: given.state[name] for name in giving[1].variables},
    ).rows(slice(None))


def _exchanged(
    blocks: list[tuple[str, ...]], block: Int[Tensor, "batch"], base: State, source: State
) -> tuple[State, Bool[Tensor, "batch"]]:
    """The base's state with the source's values of each row's block, and where one of these is another value."""
    state, changed = dict(base), torch.zeros_like(block, dtype=torch.bool)
    for name in {name for names in blocks for name in names}:
        here = torch.tensor([name in names for names in blocks], device=block.device)[block]
        state[name] = torch.where(here, source[name], base[name])
        changed |= state[name] != base[name]
    return state, changed


def _value(
    program: Program, blocks: list[tuple[str, ...]], block: Int[Tensor, "batch"], state: State
) -> Int[Tensor, "batch"]:
    """The value of each row's block, its first variable's, in whole units of it."""
    return torch.stack([state[names[0]] // program.unit(names[0]) for names in blocks]).gather(0, block[None])[0]


def unexchanged(task: Task, program: Program, pairs: Pairs, generator: torch.Generator | None = None) -> Pairs:
    """The same bases, positions and sources, with what `program` says follows when nothing is exchanged.

    Args:
        task: of the bases.
        program: that the pairs were drawn with.
        pairs: see `interchange_pairs`.
        generator: of what is not predictable, such as the rest of a demonstration.
    """
    # A state holds its plan, which no exchange touches, so the state before the first token can be had again.
    traced = unroll(program, program.start(pairs.state), tokens=pairs.base_ids)
    state = state_at(traced.states, pairs.base_at)
    own = _continued(task, program, pairs.base_ids, pairs.base_at, state, generator)
    own |= {"state": state, "changed": torch.zeros_like(pairs.changed), "source_value": pairs.base_value}
    return replace(pairs, **own).rows(slice(None))


def told_apart(first: Pairs, second: Pairs) -> Bool[Tensor, "batch"]:
    """On which rows of the same trials two counterfactuals differ in a predictable token, or in where one is."""
    length = max(first.base_ids.shape[1], second.base_ids.shape[1])
    said = []
    for pairs in (first, second):
        tokens = torch.where(pairs.scored, pairs.base_ids, -1)
        said.append(nn.functional.pad(tokens, (0, length - tokens.shape[1]), value=-1))
    return (said[0] != said[1]).any(1).cpu()


def _continued(
    task: Task, program: Program, input_ids: Tensor, at: Tensor, state: State, generator: torch.Generator | None
) -> dict[str, Any]:
    """`base_ids`, `base_mask` and `scored`: the tokens up to and with `at`, then what a program emits from a state."""
    follows = unroll(program, state, generator=generator)
    assert follows.predictable is not None
    pad = task.vocabulary.pad
    ids, scored = _spliced(input_ids, at, follows.tokens, follows.predictable, pad)
    return {"base_ids": ids, "base_mask": ids != pad, "scored": scored}


def _fork(generator: torch.Generator | None, device: torch.device) -> torch.Generator:
    """A generator of its own, seeded by one draw: how much is taken from it changes nothing that is drawn later."""
    seed = torch.randint(2**62, (), generator=generator, device=device)
    return torch.Generator(device).manual_seed(int(seed))


def _spliced(
    input_ids: Tensor, at: Tensor, suffix: Tensor, predictable: Tensor, pad: int
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """The prefix up to and with position `at`, then the suffix; and which of the tokens are predictable suffix."""
    length = int(at.max()) + 1 + suffix.shape[1]
    position = torch.arange(length, device=at.device)
    into = (position - at[:, None] - 1).clamp(0, suffix.shape[1] - 1)
    after = position > at[:, None]
    inside = after & (position - at[:, None] <= suffix.shape[1])
    prefix = input_ids.gather(1, position.clamp(max=input_ids.shape[1] - 1).expand(len(at), -1))
    tokens = torch.where(after, torch.where(inside, suffix.gather(1, into), pad), prefix)
    return tokens, inside & predictable.gather(1, into)
