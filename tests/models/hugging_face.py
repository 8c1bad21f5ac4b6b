"""Small models of Hugging Face architectures with random weights."""

import torch
import transformers as hf

SHARED = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "pad_token_id": 0}
GROUPED = SHARED | {"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
GPT2 = {"vocab_size": 40, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}

ARCHITECTURES = {
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2, **ENDS)),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED, **ENDS)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**GROUPED, **ENDS)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**GROUPED, **ENDS, head_dim=16)),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, state_size=4, **ENDS, pad_token_id=0)
    ),
}


def small(name, seed=0):
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]().eval()
    with torch.no_grad():
        # Their constructors draw weights so small that every token would look alike.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return model
