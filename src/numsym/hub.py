"""The Hugging Face hub: models and tokenizers from it, results to it and back; each way to fail is one sentence."""

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from huggingface_hub import ModelCard, ModelHubMixin, get_token, snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError

from numsym.errors import InvalidArgumentError, NumsymError
from numsym.storage import new_folder

H = TypeVar("H", bound="OnHub")

FILES = ("*.json", "*.safetensors", "README.md")
"""What is downloaded of a result: nothing that would have to be unpickled or run."""

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
        # Code that comes with a model is run only where the caller asks for it by name.
        return read(str(folder) if folder.is_dir() else str(name), **{"trust_remote_code": False, **options})
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
        if not (callable(tokenizer) and hasattr(tokenizer, "decode")):
            raise InvalidArgumentError(
                f"tokenizer={tokenizer!r} is not allowed: give a tokenizer of transformers, its folder, or its name"
            )
        return tokenizer
    from transformers import AutoTokenizer

    return fetch("tokenizer", tokenizer, AutoTokenizer.from_pretrained)


class OnHub(ModelHubMixin):
    """What can be pushed to the Hugging Face hub and read from there, with a card that says what was found.

    A subclass has what a card needs: `title`, `question`, `notes`, `findings()`, `markdown()` and `load(path, model)`.
    """

    title: Any
    question: Any
    notes: ClassVar[str]

    # The mixin would otherwise collect the arguments of `__init__`; a result's own files hold them.
    _hub_mixin_config = {"library_name": "numsym"}  # noqa: RUF012

    def __new__(cls: type[H], *args: Any, **kwargs: Any) -> H:
        """Without the mixin's, which writes an attribute: results are frozen."""
        return object.__new__(cls)

    def facts(self) -> dict[str, str]:
        """What the card says beside the tables: name -> a sentence in Markdown."""
        return {}

    def findings(self) -> list[tuple[str, str]]:
        """What came out: a word, and the reason for it."""
        raise NotImplementedError

    def tags(self) -> dict[str, Any]:
        """What the hub files it under, besides numsym: fields of a model card's metadata."""
        return {}

    def markdown(self) -> str:
        """Its tables."""
        raise NotImplementedError

    def write(self, folder: Path) -> None:
        """Write into a folder that is there."""
        raise NotImplementedError

    @classmethod
    def load(cls: type[H], path: str | os.PathLike, model: Any = None) -> H:
        """Read what was written."""
        raise NotImplementedError

    def generate_model_card(self, *args: Any, repo_id: str = "USER/NAME", **kwargs: Any) -> ModelCard:
        """What was found, and how to read it again."""
        name, module = type(self).__name__, type(self).__module__.split(".")
        homes = (".".join(module[: i + 1]) for i in range(len(module)))
        home = next((one for one in homes if hasattr(sys.modules[one], name)), type(self).__module__)
        tags = {"library_name": "numsym", "tags": ["numsym", "interpretability", "causal-abstraction"], **self.tags()}
        facts = "".join(f"- **{fact}**: {said}\n" for fact, said in self.facts().items())
        verdict = "\n".join(f"- **{word}**: {reason}" for word, reason in self.findings())
        parts = [
            f"---\n{yaml.safe_dump(tags, sort_keys=False)}---\n",
            f"# {self.title}\n",
            *([f"{self.question}\n"] if self.question else []),
            *([f"## What came out\n\n{verdict}\n"] if verdict else []),
            *([facts] if facts else []),
            f"## What was measured\n\n{self.markdown()}",
            *([f"{self.notes}\n"] if self.notes else []),
            "Shares are in percent; brackets hold 95 % intervals.\n",
            f"## How to read it\n\n```python\nfrom {home} import {name}\n\n"
            f'found = {name}.from_pretrained("{repo_id}")  # its numbers, without the model\n'
            f'found = {name}.from_pretrained("{repo_id}", model=model)  # all of it\n```\n',
            "Tensors are safetensors, the rest is JSON: nothing is unpickled, and no code comes with it.\n",
        ]
        return ModelCard("\n".join(parts))

    def _save_pretrained(self, save_directory: Path) -> None:
        self.write(save_directory)

    def save_pretrained(self, save_directory: str | os.PathLike, **options: Any) -> str | None:
        """Write a new folder as it is on the hub: what `save` writes, and `README.md`, the card.

        Args:
            save_directory: new.
            options: of huggingface_hub's mixin.

        Raises:
            RunFolderError: `save_directory` exists.
        """
        if options.get("push_to_hub"):
            options = {"repo_id": Path(save_directory).name, **options}
        with new_folder(save_directory) as folder:
            return super().save_pretrained(folder, **options)

    def push_to_hub(self, repo_id: str, *, token: str | None = None, **options: Any) -> str:
        """Push to a repository of the hub, which is made if it is not there, in one commit.

        Args:
            repo_id: "user/name".
            token: of the hub; that of `hf auth login` if not given.
            options: of huggingface_hub's mixin: `private`, `branch`, `commit_message`, ...

        Returns:
            The address of the commit.

        Raises:
            InvalidArgumentError: nobody is logged in, the hub refuses or cannot be reached, or the result is not whole.
        """
        if (token or get_token()) is None:
            raise InvalidArgumentError(
                "token=None is not allowed: nobody is logged in to the Hugging Face hub; run `hf auth login`, set "
                "HF_TOKEN, or give token="
            )
        with tempfile.TemporaryDirectory() as scratch:  # what cannot be written makes no repository
            self.write(Path(scratch))
        message = {"commit_message": f"Push {type(self).__name__} by numsym", "model_card_kwargs": {"repo_id": repo_id}}
        try:
            return super().push_to_hub(repo_id, token=token, **{**message, **options})
        except (HTTPError, HFValidationError, OSError) as error:
            raise _refused(repo_id, "it cannot be pushed to", error) from error

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls: type[H], repo_id: str | os.PathLike, *, model: Any = None, **options: Any
    ) -> H:
        """Read a result from a folder, or from a repository of the hub, downloaded once and then from the cache.

        Args:
            repo_id: a folder, or "user/name".
            model: what it was measured on; without it the numbers are read.
            options: of huggingface_hub's mixin: `revision`, `token`, `cache_dir`, `local_files_only`, ...

        Raises:
            InvalidArgumentError: there is none, or the hub cannot be reached.
            ModelMismatchError: `model` does not have the weights that it was fitted to.
        """
        try:
            if Path(repo_id).is_dir():
                return cls.load(repo_id, model)
            return super().from_pretrained(str(repo_id), model=model, **options)
        except NumsymError:
            raise
        except (HTTPError, HFValidationError, OSError) as error:
            raise _refused(repo_id, "it is no folder, and cannot be read from", error) from error

    @classmethod
    def _from_pretrained(cls: type[H], *, model_id: str, model: Any = None, **options: Any) -> H:
        return cls.load(snapshot_download(model_id, allow_patterns=list(FILES), **options), model)


def _refused(repo_id: str | os.PathLike, what: str, error: Exception) -> InvalidArgumentError:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return InvalidArgumentError(
        f"repo_id={str(repo_id)!r} is not allowed: {what} the Hugging Face hub ({said.rstrip('.')})"
    )
