"""Where number embeddings come from: a model's number tokens, its hidden states, and their frequencies in a text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from numsym._pyvene import layers_with, tabled
from numsym.errors import InvalidArgumentError, ModelMismatchError, check_at_least, check_name
from numsym.hub import load_tokenizer
from numsym.models import Site
from numsym.models.activations import activations_at
from numsym.models.discover import register_model

SPACES = ("without", "with", "either")
WHERE = ("input", "output")


def number_tokens(
    tokenizer: Any, numbers: Iterable[int] | None = None, *, space: str = "either"
) -> tuple[tuple[int, ...], Int[Tensor, " number"]]:
    """Find the tokens that stand for one number each.

    Args:
        tokenizer: a Hugging Face tokenizer.
        numbers: which numbers; None is 0, 1, ... as far as each is a single token.
        space: take the token of "7", of " 7" (with a leading space, as byte-pair vocabularies have it inside a text),
            or of whichever is a single token for every number asked for ("7" first).

    Returns:
        The numbers, and the id of each one's token.

    Raises:
        InvalidArgumentError: a number is not a single token of this tokenizer, or no number is.
        UnknownNameError: `space` is none of "without", "with" and "either".
    """
    check_name("space", space, SPACES)
    tokenizer = load_tokenizer(tokenizer)
    choices = {"without": [""], "with": [" "], "either": ["", " "]}[space]
    asked = None if numbers is None else tuple(numbers)
    found = [_single_run(tokenizer, prefix, asked) for prefix in choices]
    ids, prefix = max(zip(found, choices, strict=True), key=lambda pair: len(pair[0]))
    if asked is None and ids:
        return tuple(range(len(ids))), torch.tensor(ids)
    if asked and len(ids) == len(asked):
        return asked, torch.tensor(ids)
    number = asked[len(ids)] if asked else 0
    pieces = tokenizer.convert_ids_to_tokens(tokenizer.encode(f"{prefix}{number}", add_special_tokens=False))
    raise InvalidArgumentError(
        f"numbers: {number} is not a single token of this tokenizer (it becomes {pieces}, space={space!r}); "
        "leave numbers=None for as many as are, or read hidden states of prompts instead (prompt_states)"
    )


def _single_run(tokenizer: Any, prefix: str, asked: Sequence[int] | None) -> list[int]:
    """The ids of the leading numbers that are a single token each and come back as what they were."""
    ids: list[int] = []
    # No vocabulary holds as many numbers as it has tokens.
    for number in range(len(tokenizer)) if asked is None else asked:
        pieces = tokenizer.encode(f"{prefix}{number}", add_special_tokens=False)
        if len(pieces) != 1 or tokenizer.decode(pieces).strip() != str(number):
            break
        ids.append(pieces[0])
    return ids


def number_embeddings(
    model: nn.Module,
    tokenizer: Any,
    numbers: Iterable[int] | None = None,
    *,
    where: str = "input",
    space: str = "either",
) -> tuple[tuple[int, ...], Float[Tensor, "number hidden"]]:
    """Read the number tokens' rows of a Hugging Face model's embedding or unembedding.

    Args:
        model: a `transformers.PreTrainedModel`.
        tokenizer: its tokenizer.
        numbers: which numbers; None is 0, 1, ... as far as each is a single token.
        where: "input" is the embedding, "output" the unembedding.
        space: see `number_tokens`.

    Returns:
        The numbers, and their embeddings (N, d) on the model's device.

    Raises:
        InvalidArgumentError: a number is not a single token.
        ModelMismatchError: the model has no such embedding, or fewer rows than the tokenizer has tokens.
    """
    check_name("where", where, WHERE)
    read: Any = model
    try:
        layer = read.get_input_embeddings() if where == "input" else read.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed: it does not say which its embeddings are"
        ) from None
    if layer is None:
        raise ModelMismatchError(
            f"where={where!r} is not allowed: {type(model).__name__} has no unembedding; use where='input'"
        )
    found, ids = number_tokens(tokenizer, numbers, space=space)
    weight = layer.weight.detach()
    if int(ids.max()) >= len(weight):
        raise ModelMismatchError(
            f"token id {int(ids.max())} of the tokenizer is not allowed: {type(model).__name__} embeds {len(weight)}"
        )
    return found, weight[ids.to(weight.device)]


def prompt_states(
    model: nn.Module,
    tokenizer: Any,
    numbers: Iterable[int],
    *,
    template: str = "{n}",
    site: str | Site | None = None,
    batch_size: int = 64,
) -> Float[Tensor, "number hidden"]:
    """Read what a model holds at a number's last token in a prompt.

    Numbers of several tokens are fine: the state is that of the last one.

    Args:
        model: a `transformers.PreTrainedModel`; it is run without gradients and left as it is. One of a class that
            pyvene does not know is registered.
        tokenizer: its (fast) tokenizer.
        numbers: which numbers.
        template: the prompt; `{n}` is where the number goes, once.
        site: where to read, as for `numsym.models.activations`, such as "block_output:3"; by default the output of the
            last block.
        batch_size: prompts at a time; prompts of equal length share a batch, so nothing is padded.

    Returns:
        (N, d), on the model's device.

    Raises:
        InvalidArgumentError: the template does not hold `{n}` once, there are no numbers, or no such site.
    """
    check_prompt(template)
    check_at_least("batch_size", batch_size, 1)
    if not tabled(model):
        register_model(model)
    place = Site("block_output", layers_with(model, "block_output")[-1]) if site is None else Site.of(site)
    options: dict[str, Any] = {"template": template, "batch_size": batch_size}
    return prompt_states_at(model, tokenizer, numbers, [place], **options)[place]


def prompt_states_at(
    model: nn.Module,
    tokenizer: Any,
    numbers: Iterable[int],
    sites: Iterable[str | Site],
    *,
    template: str = "{n}",
    batch_size: int = 64,
) -> dict[Site, Float[Tensor, "number hidden"]]:
    """The same at several sites, from one run of the model; the arguments are those of `prompt_states`."""
    check_prompt(template)
    check_at_least("batch_size", batch_size, 1)
    tokenizer = load_tokenizer(tokenizer)
    numbers = tuple(numbers)
    if not numbers:
        raise InvalidArgumentError("numbers=() is not allowed: give at least one")
    if not tabled(model):
        register_model(model)
    places = [Site.of(site) for site in sites]
    ends = len(template.split("{n}")[0])
    rows: dict[int, list[tuple[int, list[int], int]]] = {}
    for index, number in enumerate(numbers):
        coded = tokenizer(template.replace("{n}", str(number)))
        at = coded.char_to_token(ends + len(str(number)) - 1)
        rows.setdefault(len(coded["input_ids"]), []).append((index, coded["input_ids"], at))
    states: dict[Site, dict[int, Tensor]] = {place: {} for place in places}
    for group in rows.values():
        for start in range(0, len(group), batch_size):
            part = group[start : start + batch_size]
            ids = torch.tensor([tokens for _, tokens, _ in part], device=next(model.parameters()).device)
            for place, hidden in activations_at(model, places, ids).items():
                states[place] |= {index: hidden[row, at] for row, (index, _, at) in enumerate(part)}
    return {place: torch.stack([found[i] for i in range(len(numbers))]) for place, found in states.items()}


def check_prompt(template: str) -> None:
    """Raise `InvalidArgumentError` unless a template holds `{n}` once."""
    if template.count("{n}") != 1:
        raise InvalidArgumentError(f"template={template!r} is not allowed: it must hold {{n}} exactly once")


def number_words(text: str) -> list[str]:
    """Split a text into lower-case words and whole numbers (each a token of its own), without anything else."""
    return re.findall(r"\d+|[^\W\d_]+", text.lower())


def number_frequencies(tokens: Iterable[str], numbers: Sequence[int]) -> Float[Tensor, "number 1"]:
    """Count number tokens in a text: the control whose spectrum has spikes before any model is trained ([F]).

    Args:
        tokens: the text, for example from `number_words`.
        numbers: which numbers.

    Returns:
        log(1 + count) of each number, (N, 1) float64: one feature, so that every probe takes it.

    Raises:
        InvalidArgumentError: none of the numbers occurs.
    """
    counts = Counter(tokens)
    found = torch.tensor([counts[str(number)] for number in numbers], dtype=torch.float64)
    if not float(found.sum()):
        raise InvalidArgumentError(f"tokens hold none of the {len(numbers)} numbers asked for")
    return found.log1p()[:, None]
