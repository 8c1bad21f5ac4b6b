"""Models whose number variables are known because their weights are set, not trained.

They are the ground truth for alignment searches. In the recurrent ones the count lies along one direction of the
state, the phase along another, and the angle between the two decides which maps can exchange the one without the other.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numsym.errors import InvalidArgumentError, check_at_least
from numsym.models.recurrent import RecurrentConfig, RecurrentLM
from numsym.models.transformer import TransformerConfig, TransformerLM
from numsym.programs import CountingVocabulary

UNIT = 1e-3
"""The length of the count's step: so small that a state of twenty steps meets tanh where it is the identity (its error
is a third of the cube, at most 1/300 of a step)."""

PHASE = 5.0
"""The length of the phase's step, in steps of the count: a map that confuses the two misses by whole numbers."""

SATURATED = 60.0
"""A gate's bias at which the sigmoid is 0 or 1 to the last bit."""


def counting_gru(
    vocabulary: CountingVocabulary, *, width: int = 8, degrees: float | int = 90.0, seed: int = 0
) -> RecurrentLM:
    """Build a GRU that runs Up-Down exactly, on tasks whose response token differs from the demonstration tokens.

    Its state is h = count * c + phase * p, with phase 0 before the trigger and 1 after it, p five times as long as c,
    and `degrees` between their directions; both lie in a random plane, and whatever an intervention adds outside of
    that plane is dropped at the next step and never read. The gates are saturated, so a step is h' = tanh(h A + x): A
    keeps the plane, x adds c, -c or p by token. The decoder reads the plane's two coordinates: a demonstration token
    before the trigger, then the response token while the count is above one half, then the end.

    With `degrees=90` exchanging the count is an orthogonal projection. Otherwise it is oblique, and no rotation is that
    exchange: restricted to the plane, an orthogonal one is a symmetric matrix, and the exchange of the count is not.
    Behaviour forgives more than that, since counts are read rounded and the phase by its side of one half: with a phase
    as short as the count's step, some rotation gives every token right at 40 degrees. Hence its length of five.

    Args:
        vocabulary: of the task.
        width: of the state, at least 2.
        degrees: between the two directions, above 0 and below 180.
        seed: of the plane.

    Raises:
        InvalidArgumentError: a number is out of range, or the response token is also a demonstration token.
    """
    check_at_least("width", width, 2)
    if not 0 < degrees < 180:
        raise InvalidArgumentError(f"degrees={degrees!r} is not allowed: it must lie between 0 and 180")
    if vocabulary.response in vocabulary.demonstration:
        raise InvalidArgumentError(
            "vocabulary is not allowed: its response token is a demonstration token, and a step must tell them apart"
        )
    count, phase, read = directions(width, degrees, seed)
    config = RecurrentConfig(cell="gru", vocab_size=len(vocabulary), hidden_size=width, layer_norm=False)
    model = RecurrentLM(config).requires_grad_(False)
    for parameter in model.parameters():
        parameter.zero_()
    _set_recurrence(model, vocabulary, count, phase, read)
    _set_decoder(model, vocabulary, read)
    return model.eval()


def directions(
    width: int, degrees: float | int, seed: int
) -> tuple[Float[Tensor, "hidden"], Float[Tensor, "hidden"], Float[Tensor, "hidden 2"]]:
    """The directions of count and phase, and the two columns that read their values off a state."""
    generator = torch.Generator().manual_seed(seed)
    plane = torch.linalg.qr(torch.randn(width, 2, generator=generator, dtype=torch.float64)).Q
    angle = math.radians(degrees)
    count, phase = plane[:, 0], PHASE * (math.cos(angle) * plane[:, 0] + math.sin(angle) * plane[:, 1])
    count, phase = UNIT * count, UNIT * phase
    read = torch.linalg.pinv(torch.stack([count, phase]))
    return count.float(), phase.float(), read.float()


def counting_gru_by_phase(vocabulary: CountingVocabulary, *, width: int = 8) -> RecurrentLM:
    """Build a GRU that runs Up-Down exactly and holds its count by another code in each phase.

    The demonstration counts in neuron 0, the response in neuron 1, and neuron 2 says which phase it is. The reset gates
    are switches: a demonstration token keeps neuron 0 and clears neuron 1, the trigger and a response token move what
    is in neuron 0 into neuron 1 and clear neuron 0.

    So no linear exchange h + (s - h) P swaps the count across phases, whatever its rank: with the base in the
    demonstration it would have to write a source's neuron 1 into neuron 0 and leave neuron 1 (or it is dropped), with
    the base in the response into neuron 1 and leave neuron 0, which is added there. Given the phase one direction does.

    Args:
        vocabulary: of a task whose response token is no demonstration token; void tokens are allowed.
        width: of the state, at least 3.

    Raises:
        InvalidArgumentError: the width is too small, or the response token is also a demonstration token.
    """
    check_at_least("width", width, 3)
    model = counting_gru(vocabulary, width=width)
    rnn, embedding = model.recurrent_layers[0].rnn, model.embed.weight
    count, other, phase = torch.eye(width)[:3] * UNIT
    phase = PHASE * phase
    embedding.zero_()
    embedding[list(vocabulary.demonstration)] = count
    embedding[vocabulary.response] = -other
    embedding[vocabulary.trigger] = phase
    # Reset gates: neuron 0 is kept but at trigger and response, neuron 1 is fed at these alone.
    switch = 2 * SATURATED / UNIT
    rnn.weight_ih_l0[0, 1], rnn.weight_ih_l0[0, 2] = switch, -switch / PHASE
    rnn.weight_ih_l0[1, 1], rnn.weight_ih_l0[1, 2] = -switch, switch / PHASE
    rnn.bias_ih_l0[1] = -SATURATED
    carried = torch.zeros(width, width)
    carried[0, 0] = carried[1, 0] = carried[1, 1] = carried[2, 2] = 1.0
    rnn.weight_hh_l0[2 * width :] = carried
    for layer in model.decoder:
        if isinstance(layer, nn.Linear):
            layer.weight.zero_()
            layer.bias.zero_()
    _set_decoder(model, vocabulary, torch.stack([other / UNIT**2, phase / (PHASE * UNIT) ** 2], 1))
    return model


def _set_recurrence(
    model: RecurrentLM, vocabulary: CountingVocabulary, count: Tensor, phase: Tensor, read: Tensor
) -> None:
    width, rnn = len(count), model.recurrent_layers[0].rnn
    rnn.bias_ih_l0[:width] = SATURATED
    rnn.bias_ih_l0[width : 2 * width] = -SATURATED
    rnn.weight_hh_l0[2 * width :] = (read @ torch.stack([count, phase])).T
    rnn.weight_ih_l0[2 * width :] = torch.eye(width)
    model.embed.weight[list(vocabulary.demonstration)] = count
    model.embed.weight[vocabulary.response] = -count
    model.embed.weight[vocabulary.trigger] = phase


def _set_decoder(model: RecurrentLM, vocabulary: CountingVocabulary, read: Tensor) -> None:
    # gelu(x) - gelu(-x) = x, so two pairs of hidden units carry count - 1/2 and 1/2 - phase unchanged.
    hidden, out = (layer for layer in model.decoder if isinstance(layer, nn.Linear))
    for pair, (column, sign) in enumerate(((0, 1.0), (1, -1.0))):
        for unit, direction in ((2 * pair, 1.0), (2 * pair + 1, -1.0)):
            hidden.weight[unit] = direction * sign * read[:, column]
            hidden.bias[unit] = -0.5 * direction * sign
    out.weight[vocabulary.response, :2] = torch.tensor([1.0, -1.0])
    out.weight[vocabulary.eos, :2] = torch.tensor([-1.0, 1.0])
    # Before the trigger a demonstration token beats every count up to 20; after it, it loses to both others.
    out.weight[vocabulary.demonstration[0], 2:4] = torch.tensor([100.0, -100.0])
    spoken = (vocabulary.response, vocabulary.eos, vocabulary.demonstration[0])
    out.bias[[token for token in range(len(vocabulary)) if token not in spoken]] = -1e4


SHARPNESS = 2000.0
"""What the mean over the context is multiplied with: half a count among a hundred tokens is then ten in logits."""


def counting_transformer(vocabulary: CountingVocabulary, *, max_positions: int = 256) -> TransformerLM:
    """Build a transformer that runs Ctx-Distr exactly, on tasks whose response token is no demonstration token.

    One layer and one head, without positions and norms. A token's embedding holds its value along the first feature:
    +1 a demonstration token, -1 a response token, -1/2 the begin, 0 any other. Attention is uniform, so at each
    position it writes the mean of the values so far into the second feature. With the begin's half the mean is above
    zero as long as responses are due and below it when none is, whatever the number of tokens; after the trigger the
    response token or the end follows by its sign. No position holds a count that a later one reads.

    Args:
        vocabulary: of the task.
        max_positions: the most tokens that it takes.

    Raises:
        InvalidArgumentError: the response token is also a demonstration token.
    """
    if vocabulary.response in vocabulary.demonstration:
        raise InvalidArgumentError(
            "vocabulary is not allowed: its response token is a demonstration token, and embeddings must tell them "
            "apart"
        )
    config = TransformerConfig(
        vocab_size=len(vocabulary),
        hidden_size=2,
        num_layers=1,
        num_heads=1,
        positions="none",
        norm="none",
        max_positions=max_positions,
    )
    model = TransformerLM(config).requires_grad_(False)
    weights = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    embedding = weights["embed.weight"]
    embedding[list(vocabulary.demonstration), 0] = 1.0
    embedding[vocabulary.response, 0] = -1.0
    embedding[vocabulary.bos, 0] = -0.5
    weights["blocks.0.attn.v.weight"][0, 0] = 1.0
    weights["blocks.0.attn.o.weight"][1, 0] = 1.0
    weights["unembed.weight"][vocabulary.response, 1] = SHARPNESS
    weights["unembed.weight"][vocabulary.eos, 1] = -SHARPNESS
    spoken = (vocabulary.response, vocabulary.eos)
    weights["unembed.bias"][[token for token in range(len(vocabulary)) if token not in spoken]] = -1e4
    model.load_state_dict(weights)
    return model.eval()
