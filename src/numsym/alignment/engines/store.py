"""What an engine keeps of bases: as much as it may, in the memory of the model's device or of the host."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

CACHE_BYTES = 2 << 30
"""What an engine keeps of bases, of all pairs together."""


@runtime_checkable
class Sized(Protocol):
    """What is kept."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""


K = TypeVar("K", bound=Sized)


class Store(Generic[K]):
    """What is kept of bases, for as long as somebody has it; the same bases with other sources share it.

    Args:
        cache_bytes: how much may be kept, of all pairs together.
        device: where it is needed.
        home: where it is kept, such as "cpu" for a model on CUDA; it then comes through pinned memory of the host
            (`rows.picked`). Where it is needed if not given, or the host where it would take more than half of what is
            free there.
    """

    def __init__(self, cache_bytes: int, device: torch.device, home: torch.device | str | None = None):
        self.cache_bytes, self.device = cache_bytes, device
        self.home = None if home is None else torch.device(home)
        self._kept: WeakKeyDictionary[K, tuple[Tensor, ...]] = WeakKeyDictionary()

    def take(self, wanted: tuple[Tensor, ...], size: int, make: Callable[[torch.device | None], K]) -> K | None:
        """What is kept of some bases, made now if it is not yet; None where there is no room.

        Args:
            wanted: what says which bases they are, on the CPU.
            size: the bytes that they would take.
            make: keeps them on a device, or where they are computed.
        """
        for kept, own in self._kept.items():
            if all(torch.equal(*both) for both in zip(wanted, own, strict=True)):
                return kept
        if size + sum(kept.nbytes for kept in self._kept) > self.cache_bytes:
            return None
        kept = make(self.home or self._host(size))
        self._kept[kept] = wanted
        return kept

    def _host(self, size: int) -> torch.device | None:
        """The host, where the model's device has no room."""
        if self.device.type != "cuda" or not torch.cuda.is_available():
            return None
        return torch.device("cpu") if 2 * size > torch.cuda.mem_get_info(self.device)[0] else None
