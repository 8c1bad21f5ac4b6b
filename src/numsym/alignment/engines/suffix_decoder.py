"""A decoder of transformers of which some blocks alone run: what it is made of, seen in one run of a few tokens.

The model's own forward does the work. Blocks that need not run are replaced, for the call, by modules that pass on what
they are given; the last one below those that run gives a stream that was kept.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from transformers import DynamicCache

from numsym._pyvene import component_features, component_module, component_width
from numsym.alignment.engines.kept import Both, Prefix
from numsym.alignment.engines.rows import moved
from numsym.alignment.engines.suffix_hooks import See, Through, seeing
from numsym.errors import ModelMismatchError
from numsym.models.discover import layers_of
from numsym.models.logits import arguments_of, kept, model_inputs
from numsym.models.site import Site


@dataclass(frozen=True)
class Shape:
    """What one run of a few tokens has shown of a model.

    Attributes:
        outputs: for each block, how many things it gives; None where it gives a tensor alone.
        first: the first block that depends on the site, and so runs.
        last: the first block that the site does not depend on.
        layers: the layers of the cache that blocks from `first` on write.
        features: for each of the site's places, the coordinates that it is of what its module holds.
        token_bytes: what is kept of a token before the exchange.
        stream_bytes: what is kept of a token from there on.
        stream_device: where that is needed.
    """

    outputs: list[int | None]
    first: int
    last: int
    layers: frozenset[int]
    features: list[slice]
    token_bytes: int
    stream_bytes: int
    stream_device: torch.device


class PartialDecoder:
    """A decoder whose blocks run as many as are asked for, seen at the places of a site.

    Args:
        model: a decoder of transformers in evaluation mode.
        site: any place in its blocks, or beside them, that holds one vector a token; or several of one width.

    Raises:
        ModelMismatchError: the model is not made so that it can be cut there; the message says why.
    """

    def __init__(self, model: nn.Module, site: Site):
        if not {"input_ids", "past_key_values", "use_cache"} <= arguments_of(model):
            raise ModelMismatchError("its forward does not take input_ids, past_key_values and use_cache")
        if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            raise ModelMismatchError("it is an encoder and a decoder")
        self.model, self.site = model, site
        self.layers = layers_of(model)[1]
        self.points = [component_module(model, part.tabled, part.layer) for part in site.parts]
        self.device = next(model.parameters()).device
        self.shape = self._observed()

    @torch.no_grad()
    def _observed(self, length: int = 3) -> Shape:
        """Run a few tokens and look: at what blocks give, when the site is reached, and what the cache is told."""
        given: list[Any] = []
        reached: dict[int, list[tuple[int, Any]]] = {number: [] for number in range(len(self.points))}
        cached: dict[int, tuple[int, Both]] = {}

        def note(_module: nn.Module, _args: Any, output: Any) -> None:
            given.append((_module, output))

        def record(layer: int, keys: Tensor, values: Tensor) -> None:
            cached[layer] = len(given), (keys, values)

        def noting(number: int) -> See:
            return lambda value: reached[number].append((len(given), value))

        ids = torch.zeros(1, length, dtype=torch.long)
        with ExitStack() as stack:
            for block in self.layers:
                stack.callback(block.register_forward_hook(note).remove)
            for number, (module, hook) in enumerate(self.points):
                stack.enter_context(seeing(module, hook, noting(number)))
            self.forward(ids, ids == 0, Prefix(record=record), last_of(ids))
        if [block for block, _ in given] != list(self.layers):
            raise ModelMismatchError(f"its {len(self.layers)} blocks do not run once each, in their order")
        streams = [output[0] if isinstance(output, tuple) else output for _, output in given]
        vectors = [*streams, *(value for seen in reached.values() for _, value in seen)]
        once = all(len(seen) == 1 for seen in reached.values())
        if not once or not all(isinstance(one, Tensor) and one.shape[:-1] == (1, length) for one in vectors):
            raise ModelMismatchError("the site, or the stream between its blocks, is not one vector a token")
        counts = [seen[0][0] for seen in reached.values()]
        first = min(counts)
        above = {layer: both for layer, (count, both) in cached.items() if count >= first}
        stream = streams[max(first - 1, 0)]
        return Shape(
            outputs=[len(output) if isinstance(output, tuple) else None for _, output in given],
            first=first,
            last=max(
                count + self._within(count, module) for count, (module, _) in zip(counts, self.points, strict=True)
            ),
            layers=frozenset(above),
            features=[
                self._features(part, seen[0][1].shape[-1])
                for part, seen in zip(self.site.parts, reached.values(), strict=True)
            ],
            token_bytes=sum(side.nbytes // length for both in above.values() for side in both),
            stream_bytes=stream.nbytes // length if first else 0,
            stream_device=stream.device,
        )

    def _within(self, count: int, module: nn.Module) -> bool:
        """Whether a module is a part of the block before which `count` have run."""
        return any(module is part for block in self.layers[count : count + 1] for part in block.modules())

    def _features(self, part: Site, shown: int) -> slice:
        """The coordinates that a place is of the `shown` ones that its module holds."""
        features = component_features(self.model, part.component, shown, part.head)
        width, told = features.stop - features.start, component_width(self.model, part.tabled)
        if width != told:
            raise ModelMismatchError(f"the site is {width} wide, and pyvene's table has {told}")
        return features

    def forward(
        self,
        ids: Int[Tensor, "batch pos"],
        mask: Bool[Tensor, "batch total"],
        cache: DynamicCache,
        keep: Bool[Tensor, "batch pos"],
    ) -> Float[Tensor, "kept vocab"]:
        """The model's logits where kept, for tokens of the CPU and a cache of what came before them."""
        inputs = model_inputs(self.model, moved(ids, self.device), moved(mask, self.device), keep)
        if "logits_to_keep" in inputs:
            inputs["logits_to_keep"] = moved(inputs["logits_to_keep"], self.device)
        output = self.model(**inputs | {"past_key_values": cache, "use_cache": True})
        return kept(self.model, output["logits"], keep)

    @contextmanager
    def running(
        self, below: int, above: int, see: Callable[[int], See], stream: Tensor | None = None
    ) -> Iterator[None]:
        """The blocks from `below` to before `above` alone run, on a stream given to the first.

        `see` gives what each of the site's places is shown to.
        """
        own, stand_ins = list(self.layers), {}
        try:
            for index, block in enumerate(own):
                if not below <= index < above:
                    given = stream if index == below - 1 else None
                    stand_ins[block] = self.layers[index] = Through(block, self.shape.outputs[index], given)
            with ExitStack() as stack:
                for number, (module, hook) in enumerate(self.points):
                    stack.enter_context(seeing(stand_ins.get(module, module), hook, see(number)))
                yield
        finally:
            for index, block in enumerate(own):
                self.layers[index] = block


def last_of(ids: Shaped[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
    """The last position of the first row: a forward has to decode something."""
    keep = torch.zeros_like(ids, dtype=torch.bool)
    keep[0, -1] = True
    return keep
