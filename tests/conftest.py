"""Shared fixtures. numsym is imported inside them, after the shape checks of jaxtyping are in place."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "slow" not in item.keywords)  # first, so that no worker waits for another's at the end
    if not torch.cuda.is_available():
        for item in items:
            if "cuda" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-pair tokenizer of GPT-2's kind, in which numbers up to 18 and four words are one token each."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    coded = Tokenizer(models.BPE())
    coded.pre_tokenizer, coded.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sums = [f"{a} + {b} = {a + b}\n" for a in range(10) for b in range(10)]
    coded.train_from_iterator([*sums, *["Count: apple dog car book apple dog car book =\n"] * 20], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=coded, eos_token="<|end|>", bos_token="<|end|>")


@pytest.fixture
def turned_counter():
    """From a vocabulary: a hand-built counter whose count is neuron 0 and whose phase is neuron 1."""
    from numsym.models import counting_gru
    from numsym.models.counters import directions

    def turned(vocabulary):
        model = counting_gru(vocabulary, width=6)
        count, phase, _ = directions(6, 90, 0)
        turn = torch.linalg.qr(torch.stack([count, phase], 1), mode="complete").Q
        rnn = model.recurrent_layers[0].rnn
        with torch.no_grad():
            model.embed.weight.copy_(model.embed.weight @ turn)
            rnn.weight_hh_l0[12:].copy_(turn.T @ rnn.weight_hh_l0[12:] @ turn)
            model.decoder[0].weight.copy_(model.decoder[0].weight @ turn)
        return model

    return turned


@pytest.fixture
def on_fake_cuda():
    """Move a module to CUDA without having one: a context in which its tensors are fakes that know their device.

    An operation between a tensor made on the CPU and one of these is an error, as it would be on a real device.
    """

    @contextlib.contextmanager
    def enter(module):
        # Without gradients: autograd asks a device for its streams, and there is none.
        with FakeTensorMode(allow_non_fake_inputs=False), torch.no_grad():
            for part in module.modules():
                for name, value in list(part.named_parameters(recurse=False)):
                    fake = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                    setattr(part, name, torch.nn.Parameter(fake, value.requires_grad))
                for name, value in list(part.named_buffers(recurse=False)):
                    setattr(part, name, torch.empty(value.shape, dtype=value.dtype, device="cuda"))
            yield module

    return enter
