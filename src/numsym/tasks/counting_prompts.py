"""Counting asked as text: how often does a word stand in a line?"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.hub import load_tokenizer
from numsym.programs import State
from numsym.programs.prompts import CountPromptVocabulary
from numsym.tasks.base import TASKS
from numsym.tasks.prompts import NumberPrompts, end_after, names, numbers_in, single_tokens, unused


@TASKS.register("counting_prompts")
class CountingPrompts(NumberPrompts):
    """A trial is a few lines such as `apple apple apple = 3`, the last one's number asked for.

    The shots are the same in every trial. Every word after a space must be one token; numbers may be several.

    Args:
        tokenizer: of the model: an object, a folder, or a name on the Hugging Face hub.
        largest: items are counted from 1 to largest.
        held_out: counts kept out of training.
        words: what is counted; one of them a trial.
        shots: worked lines before the one that is asked.
        opening: what a line begins with; the items follow, each after a space.
        seed: of the shots.
        intervene_at: where an interchange happens: at an "item" (the answers then reach up to 2 largest - 1), or at the
            "last" token before the answer.
        only_right: whether studies draw only trials that their model answers rightly.

    Raises:
        InvalidArgumentError: an argument is out of range, or a word is not one token.
    """

    name = "counting_prompts"
    programs = ("prompt_count",)

    def __init__(
        self,
        *,
        tokenizer: Any,
        largest: int = 9,
        held_out: Sequence[int] = (),
        words: Sequence[str] = ("apple", "dog", "car", "book"),
        shots: int = 2,
        opening: str = "Count:",
        seed: int = 0,
        intervene_at: str = "last",
        only_right: bool = True,
    ):
        check_at_least("largest", largest, 2)
        check_at_least("shots", shots, 0)
        check_name("intervene_at", intervene_at, ("item", "last"))
        outside = [n for n in held_out if not 1 <= n <= largest]
        if outside or not words or len({*held_out}) >= largest:
            raise InvalidArgumentError(
                f"held_out={tuple(held_out)!r} with words={tuple(words)!r} is not allowed: held-out counts lie in "
                f"1..{largest} and leave one for training, and there is at least one word"
            )
        self.tokenizer, self.largest, self.held_out = load_tokenizer(tokenizer), largest, tuple(held_out)
        self.words, self.opening, self.intervene_at = tuple(words), opening, intervene_at
        self.only_right = only_right
        generator = torch.Generator().manual_seed(seed)
        counts = (torch.randperm(largest, generator=generator) + 1).tolist()
        worked = [(counts[i % largest], self.words[i % len(self.words)]) for i in range(shots)]
        self._shots = "".join(f"{self._items(n, word)} = {n}\n" for n, word in worked)
        self._vocabulary = self._read()
        v = self._vocabulary
        self._check({*v.before, *v.items, *v.after, *v.numbers.used(), *(() if v.end is None else (v.end,))})

    def _items(self, n: int, word: str) -> str:
        return " ".join([self.opening, *[word] * n])

    def written(self, plan: dict[str, int]) -> str:
        """The text of a trial."""
        return f"{self._shots}{self._items(plan['target'], self.words[plan['word']])} = {plan['target']}"

    def _read(self) -> CountPromptVocabulary:
        before, items = single_tokens(
            self.tokenizer,
            [self._shots + self._items(1, word) for word in self.words],
            self.words,
            "word",
            ["take other words"] * len(self.words),
        )
        # An exchange at an item reaches 2 largest - 1.
        line, last = f"{self._shots}{self._items(1, self.words[0])} =", self.largest
        last = last if self.intervene_at == "last" else 2 * last - 1
        start, numbers = numbers_in(self.tokenizer, f"{line} ", 0, last)
        end = end_after(self.tokenizer, f"{line} 1") if numbers.needs_end else None
        used = {*start, *items, *numbers.used(), *(() if end is None else (end,))}
        return CountPromptVocabulary(
            names(self.tokenizer),
            pad=unused(self.tokenizer, used),
            before=tuple(before),
            items=tuple(items),
            after=tuple(start[len(before) + 1 :]),
            numbers=numbers,
            end=end,
        )

    @property
    def vocabulary(self) -> CountPromptVocabulary:
        """The tokens."""
        return self._vocabulary

    def draw(self, n: int, split: str, generator: torch.Generator | None) -> State:
        """Counts of a split and words, both uniform: `{"target": (n,), "word": (n,)}`."""
        device = torch.device("cpu") if generator is None else generator.device
        kept = self.of_split(range(1, self.largest + 1), split)
        index = torch.randint(len(kept), (n,), generator=generator, device=device)
        word = torch.randint(len(self.words), (n,), generator=generator, device=device)
        return {"target": torch.tensor(kept, device=device)[index], "word": word}

    def number(self, plan: State) -> Int[Tensor, "batch"]:
        """The count."""
        return plan["target"]

    def intervenable(self, input_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        """The items that are asked about, or the one token before the answer."""
        v = self._vocabulary
        position = torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape)
        if self.intervene_at == "last":
            return position == self.landmarks(input_ids)["last"][:, None]
        items = torch.isin(input_ids, torch.tensor(v.items, device=input_ids.device))
        return items & (position >= len(v.before))

    def landmarks(self, input_ids: Int[Tensor, "batch pos"]) -> dict[str, Int[Tensor, "batch"]]:
        """The first and the last item that is asked about, and the last token before the answer."""
        v = self._vocabulary
        items = torch.isin(input_ids, torch.tensor(v.items, device=input_ids.device))
        first = torch.full_like(input_ids[:, 0], len(v.before))
        last_item = first - 1 + items[:, len(v.before) :].long().cumprod(1).sum(1)
        return {"first_item": first, "last_item": last_item, "last": last_item + len(v.after)}
