"""What tasks asked as text have in common: a tokenizer's vocabulary, and how it writes words and numbers.

Only trials that the model answers rightly are used, where a model is asked (`numsym.training.rightly`).
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.programs import Numbers, State
from numsym.shares import Share
from numsym.tasks.answers import Answers
from numsym.tasks.base import Batch, Task

CHECKED = 64
"""Trials of a new task that are written out as text and compared with what the tokenizer makes of it."""


class PromptTask(Task):
    """What prompts have in common: the vocabulary is the tokenizer's, and every trial is what it makes of a text.

    Attributes:
        tokenizer: of the model.
        only_right: whether a study draws only trials that its model answers rightly.
    """

    tokenizer: Any
    only_right: bool = True
    _answers: Answers | None = None

    @abstractmethod
    def written(self, plan: dict[str, int]) -> str:
        """The text of a trial, with its shots and its answer."""

    @property
    def vocab_size(self) -> int:
        """One more than the highest id in use: what a model must at least have."""
        return self._size

    def text(self, input_ids: Int[Tensor, "pos"]) -> str:
        """One row of tokens as text, without padding."""
        return self.tokenizer.decode([i for i in input_ids.tolist() if i != self.vocabulary.pad])

    @property
    def answered(self) -> Share | None:
        """The share of trials that a model answers rightly, where only those are drawn."""
        return None if self._answers is None else self._answers.share

    @property
    def narrowed(self) -> bool:
        """Whether only trials are drawn that some model answers rightly."""
        return self._answers is not None

    def answered_by(self, right: Callable[[Batch], Bool[Tensor, "batch"]]) -> "PromptTask":
        """The same task, of which only trials are drawn that `right` says are answered rightly.

        Args:
            right: which trials of a batch are.
        """
        made = copy.copy(self)
        made._answers = Answers(self, right)
        return made

    def sample(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        split: str = "all",
        plan: State | None = None,
    ) -> Batch:
        """See `Task.sample`; only trials that are answered rightly, where that was asked for.

        Raises:
            InvalidArgumentError: too few are.
        """
        if plan is None and self._answers is not None and n > 0 and (split != "held_out" or self.has_held_out):
            plan = self._answers.draw(n, split, generator)
        return super().sample(n, generator=generator, split=split, plan=plan)

    def _check(self, used: set[int]) -> None:
        """That trials are the tokenizer's reading of their texts; `used` are the ids that occur."""
        self._size = max(*used, self.vocabulary.pad) + 1
        batch = self.sample(CHECKED, generator=torch.Generator().manual_seed(0))
        end = "" if getattr(self.vocabulary, "end", None) is None else "\n"
        for row, ids in enumerate(batch.input_ids.tolist()):
            text = self.written({name: int(values[row]) for name, values in batch.plan.items()}) + end
            found = encode(self.tokenizer, text)
            if ids[: len(found)] != found or any(i != self.vocabulary.pad for i in ids[len(found) :]):
                raise InvalidArgumentError(
                    f"tokenizer is not allowed: it reads {text.splitlines()[-1]!r} not as its parts, but as "
                    f"{_shown(self.tokenizer, found[-12:])}; try another template"
                )


class NumberPrompts(PromptTask):
    """Prompts about one number, of which some are kept out of training.

    Attributes:
        held_out: those numbers.
    """

    held_out: tuple[int, ...]

    @property
    def has_held_out(self) -> bool:
        """Whether some numbers are kept out of training."""
        return bool(self.held_out)

    def of_split(self, numbers: Iterable[int], split: str) -> list[int]:
        """Those of the numbers that are asked about in a split."""
        return [n for n in numbers if split == "all" or (n in self.held_out) == (split == "held_out")]


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text with the special tokens that stand before it, and without those after it."""
    plain, whole = tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer(text)["input_ids"]
    start = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
    return [*whole[:start], *plain]


def single_tokens(
    tokenizer: Any, texts: Sequence[str], choices: Sequence[Any], kind: str, advice: Sequence[str]
) -> tuple[list[int], list[int]]:
    """A text up to a place that some words or numbers take in turn, each as one token.

    Args:
        tokenizer: of the model.
        texts: the text up to and with each of the choices.
        choices: what stands there.
        kind: what the choices are, for the message.
        advice: what to do instead, for each choice that may be the first that is not one token.

    Returns:
        The ids before the place, and the id of each choice.

    Raises:
        InvalidArgumentError: a choice is not one token: the message says which one and what it is split into, or that
            the vocabulary does not have it.
    """
    ends = [len(text) - len(str(choice)) for choice, text in zip(choices, texts, strict=True)]
    before = encode(tokenizer, texts[0][: ends[0]].rstrip(" "))
    ids: list[int] = []
    start: list[int] = []
    for i, (choice, text, end) in enumerate(zip(choices, texts, ends, strict=True)):
        found = encode(tokenizer, text)
        pieces = found[len(before) :] if found[: len(before)] == before else []
        start = found[:-1] if i == 0 else start
        lead = tokenizer.decode(pieces[:-1])
        one = bool(pieces) and not lead.strip() and found[:-1] == start and found[-1] not in ids
        if not one or found[-1] == _unknown(tokenizer):
            check_known(tokenizer, text, kind, choice, advice[i])
            shown = _shown(tokenizer, pieces or encode(tokenizer, text[end:]))
            raise InvalidArgumentError(
                f"{kind} {choice} is split into {shown} by this tokenizer, and must be one token: {advice[i]}"
            )
        ids.append(found[-1])
    return start, ids


def numbers_in(tokenizer: Any, before: str, first: int, last: int) -> tuple[list[int], Numbers]:
    """How a tokenizer writes the numbers `first`..`last` after a text, each with one token or several.

    Returns:
        The ids before the numbers, and theirs.

    Raises:
        InvalidArgumentError: a number is not in the vocabulary, or is read together with the text before it.
    """
    start = encode(tokenizer, before.rstrip(" "))
    found = [encode(tokenizer, f"{before}{number}") for number in range(first, last + 1)]
    for number, ids in enumerate(found, first):
        check_known(tokenizer, f"{before}{number}", "number", number, "take another tokenizer or other numbers")
        if ids[: len(start)] != start:
            raise InvalidArgumentError(
                f"tokenizer is not allowed: it reads number {number} together with what stands before it, as "
                f"{_shown(tokenizer, ids[-3:])}; try another template"
            )
    while len({ids[len(start)] for ids in found}) == 1 and not tokenizer.decode([found[0][len(start)]]).strip():
        start = found[0][: len(start) + 1]  # a space of its own belongs to the prompt
    return start, Numbers(tuple(tuple(ids[len(start) :]) for ids in found), first)


def end_after(tokenizer: Any, text: str) -> int:
    """The id of the line's end after a text that is an answer."""
    return encode(tokenizer, f"{text}\n")[len(encode(tokenizer, text))]


def check_known(tokenizer: Any, text: str, kind: str, choice: Any, advice: str) -> None:
    """Raise `InvalidArgumentError` where a text that ends in a choice has a token that stands for what is unknown."""
    unknown = _unknown(tokenizer)
    # Some tokenizers have the token of what is unknown, but can spell anything.
    if unknown is not None and unknown in encode(tokenizer, text) and tokenizer.decode([unknown]) not in text:
        raise InvalidArgumentError(
            f"{kind} {choice} is not allowed: it is not in the vocabulary of this tokenizer: {advice}"
        )


def _unknown(tokenizer: Any) -> int | None:
    """The id of what is in no vocabulary, which a tokenizer may have without naming it."""
    named = getattr(tokenizer, "unk_token_id", None)
    inner = getattr(getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None), "unk_token", None)
    return tokenizer.convert_tokens_to_ids(inner) if named is None and inner is not None else named


def _shown(tokenizer: Any, ids: list[int]) -> str:
    return ", ".join(repr(tokenizer.decode([i])) for i in ids)


def unused(tokenizer: Any, used: set[int]) -> int:
    """An id to pad with that occurs in no trial: the tokenizer's own if it is one.

    Raises:
        InvalidArgumentError: each occurs in one.
    """
    own = (getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None))
    left = next((i for i in (*own, *range(len(tokenizer))) if i is not None and i not in used), None)
    if left is None:
        raise InvalidArgumentError(
            f"tokenizer is not allowed: each of its {len(tokenizer)} tokens occurs in trials, and none is left to pad "
            "with; add one as its pad_token"
        )
    return left


def names(tokenizer: Any) -> tuple[str, ...]:
    """The tokens by id."""
    return tuple(str(token) for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
