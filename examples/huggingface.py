"""Where does a Hugging Face model hold the sum that it is asked for?

Without an argument a small GPT-2 with fresh weights learns few-shot sums, so that everything runs offline. With one,
such as `gpt2` or a folder, that model is taken as it is; IIA means something only if it can do the sums.

Run: python examples/huggingface.py [model]   (without a model about a minute)
"""

import sys
from typing import Any

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import numsym
from numsym.tasks import AdditionPrompts

LARGEST = 4
SEARCH = {
    "alignment": "low_rank", "subspace_dim": 8, "search": {"learning_rate": 0.01, "max_steps": 60, "check_every": 20},
    "pairs": {"train": 1000, "validation": 200, "test": 300}, "controls": ("floor", "ceiling", "permuted"),
}  # fmt: skip


def own_tokenizer() -> Any:
    """Numbers, signs and line ends are the tokens; spaces only part them."""
    words = ["<pad>", "\n", "+", "=", *(str(number) for number in range(2 * LARGEST + 1))]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = Split(Regex(r"\d+|[+=\n]"), "removed", invert=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


def own_model(task: AdditionPrompts, seed: int = 0) -> Any:
    """A GPT-2 of two layers that has learned the task."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=task.vocab_size, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    model = numsym.models.load(GPT2LMHeadModel(config))
    numsym.train(model, task, steps=1000, check_every=50, batch_size=64, learning_rate=3e-3, seed=seed)
    return model


def main(name: str | None = None) -> None:
    """Align the sum, and an operand, with the residual stream at the token before the answer, layer by layer."""
    task = AdditionPrompts(tokenizer=name or own_tokenizer(), largest=LARGEST, shots=2)
    model = numsym.models.load(name) if name else own_model(task)
    print(repr(task.text(task.sample(1).input_ids[0])), f"accuracy {numsym.evaluate(model, task, n=200).accuracy:.2f}")
    for layer in range(model.config.num_hidden_layers):
        for program, variable in (("prompt_sum", "sum"), ("prompt_operands", "first")):
            found = numsym.align(
                model, task, program=program, variable=variable, site=f"block_output:{layer}", **SEARCH
            )
            print(
                f"after layer {layer}: {variable:<5} IIA {found.iia:.2f}  floor {found.floor:.2f}  "
                f"ceiling {found.ceiling:.2f}  permuted {found.controls['permuted'].value:.2f}"
            )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except numsym.errors.NumsymError as error:
        sys.exit(f"huggingface.py: {error}")
