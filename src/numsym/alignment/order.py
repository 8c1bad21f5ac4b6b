"""In which order a search takes its pairs."""

import torch
from torch import Tensor


class Order:
    """Batches of row indices, epoch after epoch, each epoch in a new order; a share of each are rows that were wrong.

    Which rows were wrong is looked at between checks only, so that no step waits for a device.
    """

    def __init__(self, n: int, size: int, seed: int, wrong_share: float = 0.0):
        self.n, self.size = n, min(size, n)
        self.generator = torch.Generator().manual_seed(seed)
        self.rest: Tensor = torch.empty(0, dtype=torch.long)
        self.most = int(wrong_share * self.size)
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.was_wrong = torch.zeros(n, dtype=torch.bool)
        self.wrong: Tensor = torch.empty(0, dtype=torch.long)

    def next(self) -> Tensor:
        """The rows of the next batch (size,)."""
        again = min(self.most, len(self.wrong))
        size = self.size - again
        if len(self.rest) < size:
            self.rest = torch.randperm(self.n, generator=self.generator)
        batch, self.rest = self.rest[:size], self.rest[size:]
        if not again:
            return batch
        return torch.cat([batch, self.wrong[torch.randperm(len(self.wrong), generator=self.generator)[:again]]])

    def see(self, rows: Tensor, right: Tensor) -> None:
        """Note which rows of a batch were right: across networks, in every direction, one behind the other."""
        if self.most:
            self.seen.append((rows, right.detach().view(-1, len(rows)).all(dim=0)))

    def look(self) -> None:
        """Read what was noted."""
        for rows, right in self.seen:
            self.was_wrong[rows] = ~right.cpu()
        self.seen, self.wrong = [], self.was_wrong.nonzero()[:, 0]
