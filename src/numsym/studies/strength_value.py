"""Attention as counting: the strength-value of every head of a transformer ([N])."""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from numsym.circuits import StrengthValue
from numsym.circuits import strength_value as split
from numsym.errors import InvalidArgumentError, ModelMismatchError, check_at_least
from numsym.models import TransformerLM
from numsym.models.logits import check_vocabulary
from numsym.models.weights import hash_of
from numsym.run import NO_RUN, NoRun
from numsym.studies.catalog import study
from numsym.tasks import Batch, Task
from numsym.tasks.counting import CountingTask

KINDS = ("demonstration", "response", "trigger", "begin", "void")
"""What a token is; a token of Same-Object is a response after the trigger."""


@study(tasks="multi_object_transformer")
def strength_value(
    model: nn.Module, task: Task, *, trials: int = 300, margin: bool = False, seed: int = 0, run: NoRun = NO_RUN
) -> StrengthValue:
    """What does each token add to the logit of the end, against the attention it gets? Head by head.

    Args:
        model: a trained `TransformerLM`.
        task: counting.
        trials: how many are sampled.
        margin: split the end's logit minus the response token's, which decides between the two, instead of the end's.
        seed: of the trials.
        run: where the result is kept and shown.

    Raises:
        InvalidArgumentError: the task does not count, or `trials` is below 1.
        ModelMismatchError: the model is no `TransformerLM`, or of another vocabulary.
    """
    if not isinstance(task, CountingTask):
        raise InvalidArgumentError(f"task={task.name!r} is not allowed here: it must be counting")
    if not isinstance(model, TransformerLM):
        raise ModelMismatchError(
            f"model of type {type(model).__name__} is not allowed here: it must be a TransformerLM"
        )
    check_at_least("trials", trials, 1)
    check_vocabulary(model, task)

    def make() -> StrengthValue:
        device = next(model.parameters()).device
        batch = task.sample(trials, generator=torch.Generator(device).manual_seed(seed))
        vocabulary = task.vocabulary
        return split(
            model,
            batch.input_ids[:, :-1],
            batch.predictable[:, 1:],
            kinds(task, batch)[:, :-1],
            KINDS,
            token=vocabulary.eos,
            against=vocabulary.response if margin else None,
            of="end - response" if margin else "the end's logit",
        )

    asked = {"task": task.asked(), "trials": trials, "margin": margin, "seed": seed, "weights": hash_of(model)}
    return run.show(run.keep("strength_value", make, StrengthValue.load, asked=asked))


def kinds(task: CountingTask, batch: Batch) -> Int[Tensor, "batch pos"]:
    """What each token is, as an index into `KINDS`; padding and the end, which no prediction sees, count as void."""
    value, v = task.trace("ctx_distr", batch).states["value"], task.vocabulary
    kind = torch.full_like(value, KINDS.index("void"))
    kind[batch.input_ids == v.trigger] = KINDS.index("trigger")
    kind[batch.input_ids == v.bos] = KINDS.index("begin")
    kind[value == 1] = KINDS.index("demonstration")
    kind[value == -1] = KINDS.index("response")
    return kind
