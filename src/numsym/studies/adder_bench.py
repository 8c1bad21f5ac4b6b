"""An adder on the bench: its answers when the state of a number is changed at one place."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numsym._pyvene import intervenable, tabled
from numsym.interventions.fourier import FourierSubspaceIntervention
from numsym.models import Site, activations
from numsym.models.discover import register_model
from numsym.results import Share
from numsym.tasks import WrittenAdditionTask
from numsym.tasks.addition import AdditionTask

SITE = Site("block_input")
"""What enters the first layer."""


class Bench:
    """An adder, trials for it, and what it answers when its lowest token of a is changed through pyvene.

    Args:
        model: a Hugging Face model, trained.
        task: what it does.
        period: T of the subspaces.
        trials: how many.
        seed: of the trials, of the shifts, and of random subspaces.
        split: of the trials.
    """

    def __init__(
        self,
        model: Any,
        task: AdditionTask | WrittenAdditionTask,
        *,
        period: int,
        trials: int,
        seed: int = 0,
        split: str = "all",
    ):
        if not tabled(model):
            register_model(model)
        self.model, self.task, self.period = model, task, period
        self.generator = torch.Generator().manual_seed(seed + 1)
        batch = task.sample(trials, generator=self.generator, split=split).to(next(model.parameters()).device)
        self.inputs, self.truth = batch.input_ids[:, :-1], batch.input_ids[:, 1:]
        self.position = task.digits - 1 if isinstance(task, AdditionTask) else task.digits // task.chunk - 1
        place = torch.arange(self.truth.shape[1], device=self.truth.device)
        answer = batch.predictable[:, 1:] & (self.truth < task.vocabulary.plus)
        self.last = torch.where(answer, place, -1).amax(dim=1)
        self.asked = place == self.last[:, None] if isinstance(task, AdditionTask) else batch.predictable[:, 1:]
        self.shifts = torch.randint(1, period, (trials,), generator=self.generator).to(self.inputs.device)
        self.plain = self.answers(None)
        ends = (batch.plan["a"] + batch.plan["b"] - self.values(self.truth)) % 10 == 0
        # A zero that fills up a token stands where the last digit would.
        self.counted = ends if isinstance(task, WrittenAdditionTask) else torch.ones_like(ends)

    def states(self) -> Float[Tensor, "number hidden"]:
        """The states of the numbers that have a token at the place of the intervention."""
        rows = self.inputs[:1].repeat(self.task.numbers, 1)
        rows[:, self.position] = torch.arange(self.task.numbers, device=rows.device)
        return activations(self.model, SITE, rows)[:, self.position]

    def values(self, tokens: Int[Tensor, "trial pos"]) -> Int[Tensor, " trial"]:
        """The number that the last token of each answer stands for."""
        found = tokens.gather(1, self.last[:, None])[:, 0]
        return found if isinstance(self.task, AdditionTask) else self.task.vocabulary.strings(found)[0]

    @torch.no_grad()
    def tokens(
        self, intervention: FourierSubspaceIntervention | None, shifts: Sequence[int] | None = None
    ) -> Int[Tensor, "trial pos"]:
        """What follows each token, with an intervention or without."""
        if intervention is None:
            return self.model(input_ids=self.inputs)["logits"].argmax(-1)
        subspaces = None if shifts is None else [[[int(shift)] for shift in shifts]]
        changed = intervenable(self.model, [SITE.representation(intervention)])(
            base={"input_ids": self.inputs},
            unit_locations={"base": [[[self.position]] * len(self.inputs)]},
            subspaces=subspaces,
        )[1]
        return changed.logits.argmax(-1)

    def answers(
        self, intervention: FourierSubspaceIntervention | None, shifts: Sequence[int] | None = None
    ) -> Int[Tensor, " trial"]:
        """The number of the last token of each answer, with an intervention or without."""
        return self.values(self.tokens(intervention, shifts))

    def moved(self, intervention: FourierSubspaceIntervention) -> Share:
        """Trials in which rotating by s moves the answer by s mod T."""
        answers = self.answers(intervention.set_operation("rotate"), self.shifts.tolist())
        return Share.of(((answers - self.plain - self.shifts) % self.period == 0)[self.counted])

    def right(self, intervention: FourierSubspaceIntervention | None = None) -> Share:
        """Right answers; with a subspace, when it is ablated."""
        found = self.tokens(None if intervention is None else intervention.set_operation("ablate"))
        return Share.of(((found == self.truth) | ~self.asked).all(dim=1))

    @torch.no_grad()
    def right_unwritten(self, intervention: FourierSubspaceIntervention) -> Share:
        """Right answers when the subspace is taken out of the numbers' unembeddings, and only there."""
        head = self.model.get_output_embeddings()
        rows = head.weight[: self.task.numbers]
        change = -((rows - rows.mean(dim=0)) @ intervention.reader) @ intervention.weight

        def without(_: Any, given: tuple[Tensor, ...], logits: Tensor) -> Tensor:
            lost = torch.zeros_like(logits)
            lost[..., : len(change)] = given[0] @ change.mT
            return logits + lost

        handle = head.register_forward_hook(without)
        try:
            return self.right()
        finally:
            handle.remove()

    def fitted(self, states: Tensor, **options: Any) -> FourierSubspaceIntervention:
        """The period's subspace, or some harmonics of it."""
        numbers = torch.arange(self.task.numbers, device=states.device)
        return FourierSubspaceIntervention(period=self.period).fit(states, numbers, **options)


def costs_nothing(before: Share, after: Share) -> bool:
    """Whether two shares of as many trials differ by less than two standard errors."""
    spread = [share.value * (1 - share.value) for share in (before, after)]
    error = (sum(spread) / before.n) ** 0.5
    return abs(before.value - after.value) <= 2 * max(error, 1 / before.n)
