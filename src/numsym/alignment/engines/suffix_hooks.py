"""What takes the place of a block that need not run, and what is shown the values of a module."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

See = Callable[[Any], Tensor | None]
"""Shown what a module gives or takes; what it returns goes on in its place."""


class Through(nn.Module):
    """In a block's place for one call: gives on what it is given, or `stream`, and otherwise answers as the block."""

    def __init__(self, block: nn.Module, outputs: int | None, stream: Tensor | None = None):
        super().__init__()
        # Past nn.Module, which would make the block a part of this.
        self.__dict__["_block"] = block
        self.outputs, self.stream = outputs, stream

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The stream, in the form in which the block gives it; what else the block would give is None."""
        stream = (args[0] if args else next(iter(kwargs.values()))) if self.stream is None else self.stream
        return stream if self.outputs is None else (stream, *[None] * (self.outputs - 1))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_block"], name)


@contextmanager
def seeing(module: nn.Module, hook: str, see: See) -> Iterator[None]:
    """Show a function what a module gives ("output") or takes ("input"), as pyvene sees it; what it returns goes on."""

    def on_output(_module: nn.Module, _args: Any, output: Any) -> Any:
        is_tuple = isinstance(output, tuple)
        new = see(output[0] if is_tuple else output)
        return (new, *output[1:]) if new is not None and is_tuple else new

    def on_input(_module: nn.Module, args: tuple, kwargs: dict) -> Any:
        name = None if args else next(iter(kwargs))
        new = see(kwargs[name] if name else args[0])
        if new is None:
            return None
        return (args, kwargs | {name: new}) if name else ((new, *args[1:]), kwargs)

    added = (
        module.register_forward_hook(on_output)
        if hook == "output"
        else module.register_forward_pre_hook(on_input, with_kwargs=True)
    )
    try:
        yield
    finally:
        added.remove()
