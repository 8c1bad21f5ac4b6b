"""What the configurations of numsym's models share: an argument that is not known is refused, not carried along."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from transformers import PretrainedConfig

from numsym.errors import UnknownNameError

WRITTEN = (
    "_attn_implementation", "_name_or_path", "architectures", "attn_implementation", "auto_map", "bos_token_id",
    "dtype", "eos_token_id", "name_or_path", "pad_token_id", "tie_word_embeddings", "torch_dtype", "use_cache",
    "transformers_version",
)  # fmt: skip
"""What transformers itself gives or writes, besides the attributes that every configuration has."""


class ModelConfig(PretrainedConfig):
    """The shape of a model. What a file says that was written by another version is left out; a typo is an error.

    Raises:
        UnknownNameError: an argument is not known.
    """

    def __init__(self, **kwargs: Any):
        known = _known(type(self))  # type: ignore[arg-type]
        for name in kwargs:
            if name not in known:
                own = inspect.signature(type(self).__init__).parameters
                near = get_close_matches(name, own, n=1, cutoff=0.6)
                taken = ", ".join(one for one in own if one not in ("self", "kwargs"))
                hint = f"did you mean {near[0]}?" if near else f"it takes {taken}"
                raise UnknownNameError(f"{name}={kwargs[name]!r} is not allowed in {type(self).__name__}: {hint}")
        super().__init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """From what `to_dict` gave, here or in another version."""
        known = _known(cls)  # type: ignore[arg-type]
        return super().from_dict({name: of for name, of in config_dict.items() if name in known}, **kwargs)


@cache
def _known(kind: Any) -> frozenset[str]:
    own = inspect.signature(kind.__init__).parameters
    return frozenset({*own, *WRITTEN, *vars(PretrainedConfig()), *dir(PretrainedConfig)})
