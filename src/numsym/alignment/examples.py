"""Interchange trials in words: base, source, what the program says follows, what the network says, where they part."""

from dataclasses import dataclass, field

from jaxtyping import Int
from torch import Tensor

from numsym.alignment.engines.pyvene import predicted
from numsym.alignment.pairs import Pairs
from numsym.alignment.result import AlignmentResult
from numsym.programs import Program, State
from numsym.tasks import Task


@dataclass(frozen=True)
class Example:
    """One trial.

    Attributes:
        base, source: their tokens up to and with the position of the exchange.
        base_state, source_state: the program's variables there.
        exchanged: what is exchanged, and from which value to which.
        program: the tokens that the program says follow in the base after the exchange.
        network: the same with the tokens that the network says, each after those that the program says, where they are
            predictable.
        differs: where the two first part, in words; `None` if they do not.
        tokens: the same four, "base", "source", "program" and "network", token by token.
    """

    base: str
    base_state: str
    source: str
    source_state: str
    exchanged: str
    program: str
    network: str
    differs: str | None
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def right(self) -> bool:
        """Whether the network says what the program says."""
        return self.differs is None

    def __str__(self) -> str:
        found = "as the program says" if self.differs is None else self.differs
        return (
            f"base {self.base} ({self.base_state}), source {self.source} ({self.source_state}), exchanged "
            f"{self.exchanged}: the program says {self.program}; the network says {self.network}: {found}"
        )


def in_words(result: AlignmentResult, task: Task, pairs: Pairs) -> tuple[Example, ...]:
    """Some pairs in words, few enough for one pass of the model, which must be frozen.

    Args:
        result: an alignment, with its model.
        task: of the pairs.
        pairs: of the result's program and variables, as `interchange_pairs` draws them.
    """
    said = predicted(result.model, result.site, result.intervention, pairs)
    program, pairs = task.program(result.program), pairs.to("cpu")
    return tuple(_example(task, program, pairs, row, said[row]) for row in range(len(pairs)))


def _example(task: Task, program: Program, pairs: Pairs, row: int, said: Int[Tensor, "pos"]) -> Example:
    at, source_at, tokens = int(pairs.base_at[row]), int(pairs.source_at[row]), pairs.base_ids[row]
    here, there, after = (_at(state, row) for state in (pairs.base_state, pairs.source_state, pairs.state))
    names = program.block(pairs.variables[int(pairs.block[row])])
    exchanged = ", ".join(
        f"{name} {program.word(name, here[name])} to {program.word(name, after[name])}" for name in names
    )
    return Example(
        base=task.text(tokens[: at + 1]),
        base_state=_said(program, here),
        source=task.text(pairs.source_ids[row, : source_at + 1]),
        source_state=_said(program, there),
        exchanged=exchanged,
        program=task.text(tokens[at + 1 :]),
        network=task.text(said[at + 1 :]),
        differs=_first_difference(task, tokens[at + 1 :], said[at + 1 :]),
        tokens=_one_by_one(
            task, tokens[: at + 1], pairs.source_ids[row, : source_at + 1], tokens[at + 1 :], said[at + 1 :]
        ),
    )


def _one_by_one(
    task: Task,
    base: Int[Tensor, "pos"],
    source: Int[Tensor, "other"],
    program: Int[Tensor, "after"],
    network: Int[Tensor, "after"],
) -> dict[str, tuple[str, ...]]:
    """Each of them token by token, without padding; of the network as many as the program says."""
    pad = task.vocabulary.pad
    last = int((program != pad).sum())
    parts = {"base": base[base != pad], "source": source[source != pad], "program": program[:last]}
    return {
        name: tuple(task.text(one[None]) or "nothing" for one in ids)
        for name, ids in {**parts, "network": network[:last]}.items()
    }


def _at(state: State, row: int) -> dict[str, int]:
    return {name: int(values[row]) for name, values in state.items()}


def _said(program: Program, state: dict[str, int]) -> str:
    return ", ".join(f"{name} {program.word(name, state[name])}" for name in program.variables)


def _first_difference(task: Task, wanted: Int[Tensor, "pos"], said: Int[Tensor, "pos"]) -> str | None:
    wrong = wanted != said
    if not bool(wrong.any()):
        return None
    first = int(wrong.int().argmax())
    ours, own = (task.text(tokens[first : first + 1]) or "nothing" for tokens in (said, wanted))
    return f"token {first + 1} after the exchange is {ours}, not {own}"
