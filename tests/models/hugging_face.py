"""Small models of Hugging Face architectures with random weights."""

import torch
import transformers as hf

SHARED = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "pad_token_id": 0}
GROUPED = SHARED | {"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
GPT2 = {"vocab_size": 40, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]
LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 6}
EXPERTS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16}

ARCHITECTURES = {
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2, **ENDS)),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED, **ENDS)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**GROUPED, **ENDS)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**GROUPED, **ENDS, head_dim=16)),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**GROUPED, **ENDS, sliding_window=5)),
    "gemma2": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(**GROUPED, **ENDS, head_dim=8, sliding_window=5, attn_logit_softcapping=2.0)
    ),
    "gemma3": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(**GROUPED, **ENDS, head_dim=8, sliding_window=5, layer_types=ALTERNATING)
    ),
    "olmo2": lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**GROUPED, **ENDS)),
    "phi3": lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**GROUPED, **ENDS)),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SHARED, **ENDS, intermediate_size=48)),
    "opt": lambda: hf.OPTForCausalLM(hf.OPTConfig(**SHARED, **ENDS, ffn_dim=48, word_embed_proj_dim=32)),
    "bloom": lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=40, hidden_size=32, n_layer=3, n_head=4, **ENDS)),
    "falcon": lambda: hf.FalconForCausalLM(hf.FalconConfig(**SHARED, **ENDS, alibi=True)),
    "mixtral": lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**GROUPED, **ENDS, num_local_experts=4)),
    "mpt": lambda: hf.MptForCausalLM(hf.MptConfig(vocab_size=40, d_model=32, n_layers=3, n_heads=4, expansion_ratio=2)),
    "gptj": lambda: hf.GPTJForCausalLM(hf.GPTJConfig(**GPT2, **ENDS, rotary_dim=4)),
    "cohere": lambda: hf.CohereForCausalLM(hf.CohereConfig(**GROUPED, **ENDS)),
    "granite_moe": lambda: hf.GraniteMoeForCausalLM(hf.GraniteMoeConfig(**GROUPED, **ENDS, num_local_experts=4)),
    "gpt_oss": lambda: hf.GptOssForCausalLM(
        hf.GptOssConfig(**GROUPED, **ENDS, head_dim=8, num_local_experts=4, sliding_window=5, layer_types=ALTERNATING)
    ),
    "deepseek_v3": lambda: hf.DeepseekV3ForCausalLM(
        hf.DeepseekV3Config(**GROUPED | {"num_key_value_heads": 4}, **ENDS, **LATENT, **EXPERTS)
    ),
    "llama4": lambda: hf.Llama4ForCausalLM(
        hf.Llama4TextConfig(**GROUPED, **ENDS, head_dim=8, num_local_experts=2, attention_chunk_size=5)
    ),
    "bert": lambda: hf.BertLMHeadModel(hf.BertConfig(**SHARED, **ENDS, intermediate_size=48)),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, state_size=4, **ENDS, pad_token_id=0)
    ),
}

NO_IDS = ENDS | {"pad_token_id": 0}
DELTA = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
QWEN3_NEXT = GROUPED | ENDS | DELTA | {"head_dim": 16, "num_experts": 0, "mlp_only_layers": [0, 1, 2, 3]}

LINEAR = {
    "mamba": ARCHITECTURES["mamba"],
    "mamba2": lambda: hf.Mamba2ForCausalLM(
        hf.Mamba2Config(
            vocab_size=40,
            hidden_size=32,
            num_hidden_layers=3,
            state_size=8,
            num_heads=4,
            head_dim=16,
            n_groups=1,
            chunk_size=8,
            **NO_IDS,
        )
    ),
    "falcon_mamba": lambda: hf.FalconMambaForCausalLM(
        hf.FalconMambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, state_size=4, **NO_IDS)
    ),
    "rwkv": lambda: hf.RwkvForCausalLM(
        hf.RwkvConfig(vocab_size=40, hidden_size=32, num_hidden_layers=3, context_length=64, **NO_IDS)
    ),
    "xlstm": lambda: hf.xLSTMForCausalLM(
        hf.xLSTMConfig(
            vocab_size=40,
            hidden_size=128,
            embedding_dim=128,
            num_hidden_layers=2,
            num_blocks=2,
            num_heads=8,
            chunk_size=8,
            **NO_IDS,
        )
    ),
    "gated_deltanet": lambda: hf.Qwen3NextForCausalLM(
        hf.Qwen3NextConfig(**QWEN3_NEXT | {"layer_types": ["linear_attention"] * 3})
    ),
}
"""All of a position is in their states."""

HYBRIDS = {
    "qwen3_next": lambda: hf.Qwen3NextForCausalLM(hf.Qwen3NextConfig(**QWEN3_NEXT | {"num_hidden_layers": 4})),
    "olmo_hybrid": lambda: hf.OlmoHybridForCausalLM(hf.OlmoHybridConfig(**GROUPED | ENDS | {"num_hidden_layers": 4})),
    "jamba": lambda: hf.JambaForCausalLM(
        hf.JambaConfig(
            **GROUPED | ENDS, num_experts=1, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=4, mamba_dt_rank=4
        )
    ),
    "falcon_h1": lambda: hf.FalconH1ForCausalLM(
        hf.FalconH1Config(
            **GROUPED | ENDS,
            mamba_d_ssm=64,
            mamba_n_heads=4,
            mamba_d_head=16,
            mamba_d_state=8,
            mamba_chunk_size=8,
            head_dim=8,
        )
    ),
}
"""Some of their layers have attention, or all of them have both."""


def small(name, seed=0):
    torch.manual_seed(seed)
    model = (ARCHITECTURES | LINEAR | HYBRIDS)[name]().eval()
    with torch.no_grad():
        # Their constructors draw weights so small that every token would look alike.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
        # xLSTM leaves its gates as the memory was: zeros, with which its MLPs give nothing.
        for key, parameter in model.named_parameters():
            if key.endswith("ffn.proj_up_gate.weight"):
                parameter.normal_()
    return model


DECODERS = [name for name in ARCHITECTURES if name not in ("bert", "mamba")]
"""Those whose keys and values say all of what came before."""
