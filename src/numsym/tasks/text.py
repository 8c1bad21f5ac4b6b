"""Any text as a corpus: read through `datasets`, cut into tokens by `tokenizers`, its numbers whole or in pieces."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from numsym.checked.words import shown
from numsym.errors import InvalidArgumentError, check_at_least, check_name
from numsym.tasks.corpus import PAD, Corpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN = "<unk>"

PATTERNS = {
    "one": r"\d+",
    "digits": r"\d",
    "left": r"\d{1,3}",
    "right": r"\d{1,3}(?=(?:\d{3})*(?!\d))",
}
"""How a number is cut: not at all, into digits, or into chunks of three digits counted off from the left or right."""

MOST = 1000
"""So many numbers are looked for; a chunk of three digits is one of them."""


def read_text(source: str | os.PathLike, *, column: str = "text", split: str = "train") -> list[str]:
    """The lines of text files, or the texts of a data set of the Hugging Face hub.

    Args:
        source: a file, files by a pattern (`docs/*.txt`), or the name of a data set.
        column: of the data set, where its text is.
        split: of the data set.

    Raises:
        InvalidArgumentError: there is no such file or data set, or it has no such column.
    """
    # Here because it takes a second to import.
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, load_dataset

    path = Path(source).expanduser()
    files = _is_file(path) or any(sign in str(source) for sign in "*?[")
    showing = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        if files:
            # What is not UTF-8 in a file of another encoding is marked, not refused.
            options: Any = {"data_files": str(path), "encoding_errors": "replace"}
            return list(load_dataset("text", split="train", **options)["text"])
        found = load_dataset(str(source), split=split)
    except Exception as error:  # datasets raises errors of its own kinds, of fsspec's and of the hub's
        named = repr(str(source)) if len(str(source)) < 256 else shown(str(source))  # a text instead of its place
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InvalidArgumentError(
            f"text={named} is not allowed: no file, and no data set that datasets reads ({said.rstrip('.')})"
        ) from None
    finally:
        if showing:
            enable_progress_bars()
    if column not in found.column_names:
        raise InvalidArgumentError(
            f"column={column!r} is not allowed: the data set has {', '.join(found.column_names)}"
        )
    return list(found[column])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # of a name that is too long, or has a zero in it
        return False


def train_tokenizer(
    texts: Iterable[str], *, cut: str = "one", vocabulary: int = 5000, numbers: int | None = None, least: int = 5
) -> "tuple[Tokenizer, int]":
    """A tokenizer of words, signs and numbers, made from a text; all is in lower case.

    The ids of the numbers 0..N-1 are 0..N-1; then come padding, `<unk>` and the most frequent other tokens.

    Args:
        texts: the text.
        cut: how a number is cut into tokens: "one", "digits", "left", "right".
        vocabulary: the most tokens beside the numbers.
        numbers: N; by default as many, in tens, as occur in the text `least` times each, at most 1,000 (and 10 digits).
        least: how often each number must occur.

    Returns:
        The tokenizer (of the package `tokenizers`), and N.

    Raises:
        UnknownNameError: no such cut.
        InvalidArgumentError: the text holds fewer numbers.
    """
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Sequence as Steps
    from tokenizers.pre_tokenizers import Split, Whitespace

    check_name("cut", cut, PATTERNS)
    check_at_least("vocabulary", vocabulary, 1)
    check_at_least("least", least, 1)
    # Digits first, each run of them whole: `x12` is a word and a number.
    steps = [Split(Regex(r"\d+"), "isolated"), Split(Regex(PATTERNS[cut]), "isolated"), Whitespace()]
    pieces: Any = Steps(steps)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in pieces.pre_tokenize_str(text.lower()))
    found = _counted(counts, 10 if cut == "digits" else MOST, least, numbers)
    names = [*map(str, range(found)), PAD, UNKNOWN]
    taken = set(names)
    names += [piece for piece, _ in counts.most_common(vocabulary + found) if piece not in taken][:vocabulary]
    made = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, UNKNOWN))
    normal: Any = made
    normal.normalizer, normal.pre_tokenizer = Lowercase(), pieces
    return made, found


def text_corpus(texts: Sequence[str], tokenizer: "Tokenizer", numbers: int, *, length: int = 64) -> Corpus:
    """A text as rows of tokens, one after the other; the last ones, too few for a row, are padded.

    Args:
        texts: the text, whose lines follow each other.
        tokenizer: of `train_tokenizer`, and how many `numbers` it has.
        numbers: the same.
        length: tokens a row.

    Raises:
        InvalidArgumentError: the text holds no number.
    """
    check_at_least("length", length, 2)
    ids = [i for one in tokenizer.encode_batch(list(texts), add_special_tokens=False) for i in one.ids]
    pad: Any = tokenizer.token_to_id(PAD)
    stream = torch.tensor(ids + [pad] * (-len(ids) % length), dtype=torch.long)
    names = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return Corpus(stream.reshape(-1, length), tuple(name for name, _ in names), numbers, pad)


def _counted(counts: Counter[str], most: int, least: int, asked: int | None) -> int:
    """How many numbers are measured: those asked for, or as many from 0 as occur often enough, in tens."""
    found = next((n for n in range(most) if counts[str(n)] < least), most)
    if asked is not None:
        if found < asked:
            raise InvalidArgumentError(
                f"numbers={asked} is not allowed: {found} occurs {counts[str(found)]} times in the text, and each must "
                f"occur least={least} times"
            )
        return asked
    if found < 10:
        raise InvalidArgumentError(
            f"the text is too small for numbers: {found} occurs {counts[str(found)]} times, and of 0..9 each must "
            f"occur least={least} times"
        )
    return found // 10 * 10
