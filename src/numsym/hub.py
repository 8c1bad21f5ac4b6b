"""Models and tokenizers by name or folder, with every way in which that fails as one sentence."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numsym.errors import InvalidArgumentError

GGUF = ".gguf"
"""How the files of llama.cpp end: weights, most of them quantised, and tokenizer in one."""


def fetch(kind: str, name: str | os.PathLike, read: Callable[..., Any], **options: Any) -> Any:
    """What `read` (a `from_pretrained` of transformers) gives for a folder, or for a name on the Hugging Face hub.

    Args:
        kind: what is wanted, as the message calls it: "model" or "tokenizer".
        name: an existing folder, or a name on the hub, which is downloaded once and then read from the cache; or an
            existing file `*.gguf`, which is its folder with `gguf_file`.
        read: called with the name and the options.
        options: for `read`.

    Raises:
        InvalidArgumentError: there is no such folder, it holds nothing of that kind, or the name cannot be downloaded.
    """
    folder = Path(name).expanduser()
    if folder.suffix == GGUF and folder.is_file():
        name, options, folder = folder.parent, {"gguf_file": folder.name, **options}, folder.parent
    if not folder.is_dir() and (isinstance(name, os.PathLike) or str(name).startswith((".", "/", "~"))):
        raise InvalidArgumentError(f"{kind}={str(name)!r} is not allowed: there is no such folder")
    if folder.is_dir() and options.get("gguf_file"):
        _check_gguf(folder, str(options["gguf_file"]))
    try:
        return read(str(folder) if folder.is_dir() else str(name), **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        where = (
            f"the folder holds no {kind} that transformers reads"
            if folder.is_dir()
            else "it is no folder, and it is neither in the cache nor could it be downloaded from the Hugging Face hub"
        )
        raise InvalidArgumentError(f"{kind}={str(name)!r} is not allowed: {where} ({said.rstrip('.')})") from None


def _check_gguf(folder: Path, file: str) -> None:
    """Raise `InvalidArgumentError` unless the folder has the file, and the package is there that reads it."""
    if not (folder / file).is_file():
        there = ", ".join(sorted(path.name for path in folder.glob(f"*{GGUF}"))) or "none"
        raise InvalidArgumentError(f"gguf_file={file!r} is not allowed: of such files {str(folder)!r} has {there}")
    if find_spec("gguf") is None:
        raise InvalidArgumentError(f"gguf_file={file!r} is not allowed: pip install numsym[llm] brings what reads it")


def load_tokenizer(tokenizer: Any) -> Any:
    """A tokenizer by its folder, its name on the Hugging Face hub or a file `*.gguf`; an object comes back as it is.

    Raises:
        InvalidArgumentError: see `fetch`.
    """
    if not isinstance(tokenizer, str | os.PathLike):
        return tokenizer
    from transformers import AutoTokenizer

    return fetch("tokenizer", tokenizer, AutoTokenizer.from_pretrained)
