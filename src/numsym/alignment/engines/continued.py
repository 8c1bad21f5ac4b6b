"""A decoder of transformers that goes on by itself from an exchange: the cache that a further token needs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from numsym.alignment.engines.kept import Both
from numsym.alignment.engines.rows import distinct, moved, picked
from numsym.alignment.engines.suffix_model import CutModel


class Continued:
    """Rows of tokens, each run on from an exchange to its end; the blocks below the site are run when a token comes.

    Args:
        cut: the model.
        ids: (batch, pos) the rows, the first real token at position 0; on the CPU, as are the next two.
        lengths: (batch,) how many tokens each has.
        starts: (batch,) tokens before the first exchange.

    Attributes:
        above: by layer of the cache, keys and values of all tokens from the run that made the exchange; those before
            it end together, with padding before them.
    """

    def __init__(
        self,
        cut: CutModel,
        ids: Int[Tensor, "batch pos"],
        lengths: Int[Tensor, "batch"],
        starts: Int[Tensor, "batch"],
    ):
        self.cut, self.ids, self.lengths, self.starts = cut, ids, lengths, starts
        self.above: dict[int, Both] = {}
        self._cache: DynamicCache | None = None
        self._mask = moved(torch.arange(-int(lengths.max()), 0) >= -lengths[:, None], cut.device)

    def take(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Note what the run that made the exchange has told its cache."""
        self.above[layer] = keys, values

    def step(self, token: Int[Tensor, "batch"]) -> Float[Tensor, "batch vocab"]:
        """Consume a token of each row: the logits of the next."""
        if self._cache is None:
            self._cache = self._filled()
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=True)
        return self.cut.onward(token, self._mask, self._cache)

    def _filled(self) -> DynamicCache:
        """All layers, the rows ending together."""
        both = {layer: self._ended(*sides) for layer, sides in self.above.items()}
        if self.cut.shape.first:
            first, each = distinct(
                self.ids.where(torch.arange(self.ids.shape[1]) < self.lengths[:, None], 0), self.lengths
            )
            kept = self.cut.below(self.ids[first], self.lengths[first])
            index = kept.before(each, int(self.lengths.max()))
            for layer, sides in kept.past.items():
                if layer not in both:
                    keys, values = (picked(side, index, side.device).transpose(1, 2) for side in sides)
                    both[layer] = keys, values
        cache = DynamicCache()
        for layer in sorted(both):
            cache.update(*both[layer], layer)
        return cache

    def _ended(self, keys: Tensor, values: Tensor) -> Both:
        """Rows whose tokens before the exchange end together, moved so that all of their tokens do."""
        before = max(1, int(self.starts.max()))
        token = self.lengths[:, None] + torch.arange(-int(self.lengths.max()), 0)
        place = (token + before - self.starts[:, None]).clamp(min=0)
        row = torch.arange(len(place))[:, None]
        at = moved((row * keys.shape[2] + place).flatten(), keys.device)
        first, second = (
            side.transpose(1, 2).flatten(0, 1).index_select(0, at).view(*place.shape, *side.shape[1::2]).transpose(1, 2)
            for side in (keys, values)
        )
        return first, second
