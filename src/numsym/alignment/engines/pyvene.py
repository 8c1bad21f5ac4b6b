"""The search's reference route: every step runs base and source through `pv.IntervenableModel`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numsym._pyvene import Intervenable, locations, pv, quiet
from numsym.alignment.pairs import Pairs
from numsym.models.logits import kept, model_inputs
from numsym.models.site import Site


class PyveneEngine:
    """Loss and correctness of alignments on interchange pairs, one intervened forward pass each.

    Args:
        model: frozen by pyvene.
        site: where to intervene.
        interventions: one per alignment; the engine trains these very modules.
    """

    name = "pyvene"

    def __init__(self, model: nn.Module, site: Site, interventions: list[pv.Intervention]):
        self.model, self.interventions = model, interventions
        with quiet():
            self._intervenables = [
                Intervenable(pv.IntervenableConfig([site.representation(one)]), model) for one in interventions
            ]
        for intervenable in self._intervenables:
            intervenable.set_device(device_of(model), set_model=False)

    def parameters(self) -> list[nn.Parameter]:
        """What the search learns."""
        return [p for one in self.interventions for p in one.parameters() if p.requires_grad]

    def boundaries(self) -> list[Tensor]:
        """The learned boundaries, whose size is a part of the loss."""
        return [one.intervention_boundaries for one in self.interventions if hasattr(one, "boundary")]

    def prepare(self, pairs: Pairs) -> Pairs:
        """Nothing is computed ahead: each step starts from the tokens."""
        return pairs.to(device_of(self.model))

    def measure(
        self, prepared: list[Pairs], rows: list[Tensor], alive: list[int]
    ) -> tuple[Float[Tensor, "alive"], list[Bool[Tensor, "batch"]]]:
        """For the alignments `alive`: mean cross-entropy of the scored tokens, and which pairs are right in all theirs.

        Args:
            prepared: for each of them, what `prepare` gave.
            rows: for each of them, the pairs of this batch.
            alive: indices of the alignments to run.
        """
        losses, correct = [], []
        for index, pairs, row in zip(alive, prepared, rows, strict=True):
            loss, right = self.intervened(index, pairs.rows(row))
            losses.append(loss)
            correct.append(right)
        return torch.stack(losses), correct

    def intervened(
        self, index: int, pairs: Pairs, subspaces: list | None = None
    ) -> tuple[Tensor, Bool[Tensor, "batch"]]:
        """One intervened pass over some pairs: loss, and which are right; pyvene's `subspaces` may be given."""
        keep = pairs.scored[:, 1:]
        base = model_inputs(self.model, pairs.base_ids[:, :-1], pairs.base_mask[:, :-1], keep)
        source = model_inputs(self.model, pairs.source_ids, pairs.source_mask)
        if subspaces is None and len(pairs.variables) > 1:
            subspaces = [pairs.block[:, None].tolist()]
        where = locations(pairs.source_at, pairs.base_at)
        _, output = self._intervenables[index](base, [source], where, subspaces=subspaces)
        return score(kept(self.model, output["logits"], keep), pairs)

    def set_temperature(self, index: int, temperature: float) -> None:
        """Set how soft the learned mask of one alignment is."""
        self.interventions[index].set_temperature(temperature)

    def snapshot(self, index: int) -> dict[str, Tensor]:
        """A copy of what has been learned for one alignment."""
        return {name: value.detach().clone() for name, value in self.interventions[index].named_parameters()}

    def restore(self, index: int, snapshot: dict[str, Tensor]) -> None:
        """Set one alignment back to a copy."""
        with torch.no_grad():
            for name, value in self.interventions[index].named_parameters():
                value.copy_(snapshot[name])


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters."""
    return next(model.parameters()).device


def score(logits: Float[Tensor, "kept vocab"], pairs: Pairs) -> tuple[Tensor, Bool[Tensor, "batch"]]:
    """Mean cross-entropy of the scored tokens, and which pairs are right in all of theirs."""
    keep = pairs.scored[:, 1:]
    targets = pairs.base_ids[:, 1:][keep]
    wrong = torch.zeros_like(keep)
    wrong[keep] = logits.detach().argmax(-1) != targets
    return nn.functional.cross_entropy(logits.float(), targets), ~wrong.any(1)


@torch.no_grad()
def unintervened(model: nn.Module, pairs: Pairs, chunk: int = 1024) -> Bool[Tensor, "batch"]:
    """Which counterfactuals the model gives with no intervention: the floor of IIA."""
    right = []
    for start in range(0, len(pairs), chunk):
        part = pairs.rows(slice(start, start + chunk)).to(device_of(model))
        keep = part.scored[:, 1:]
        output = model(**model_inputs(model, part.base_ids[:, :-1], part.base_mask[:, :-1], keep))
        right.append(score(kept(model, output["logits"], keep), part)[1])
    return torch.cat(right).cpu()
