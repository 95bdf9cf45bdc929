"""Llama-shaped nets in GGUF files: read into torch, and written back with other weights.

llama.cpp keeps the rows of the query and key projections in another order than torch's rotary embedding wants:
inside a head, row (half h, index i) of torch lies at row 2 i + h of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

LINEARS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
ROTATED = ("attn_q", "attn_k")


def to_torch_rows(rows: np.ndarray, heads: int) -> np.ndarray:
    """Give (R, …) rows of a query or key projection in torch's order."""
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def to_file_rows(rows: np.ndarray, heads: int) -> np.ndarray:
    """Give (R, …) rows of a query or key projection in llama.cpp's order."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def field_value(reader: Any, key: str) -> Any:
    """Read one metadata field.

    Raises:
        ValueError: the file has no such field.
    """
    if key not in reader.fields:
        raise ValueError(f"the GGUF file has no field {key!r}; is it a llama model?")
    return reader.fields[key].contents()


def heads_of(reader: Any, tensor: str) -> int:
    """Give the number of heads behind `attn_q` or `attn_k`."""
    return int(field_value(reader, "llama.attention.head_count" + ("" if tensor == "attn_q" else "_kv")))


def load_net(path: Path, dtype: torch.dtype) -> Any:
    """Load a GGUF file as a `LlamaForCausalLM` with ordinary layers, quantised weights written out.

    Raises:
        ValueError: the file is not a llama model with tied embeddings.
    """
    import gguf
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = gguf.GGUFReader(path)
    theta = float(field_value(reader, "llama.rope.freq_base"))
    net = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(field_value(reader, "tokenizer.ggml.tokens")),
            hidden_size=field_value(reader, "llama.embedding_length"),
            intermediate_size=field_value(reader, "llama.feed_forward_length"),
            num_hidden_layers=field_value(reader, "llama.block_count"),
            num_attention_heads=field_value(reader, "llama.attention.head_count"),
            num_key_value_heads=field_value(reader, "llama.attention.head_count_kv"),
            rms_norm_eps=float(field_value(reader, "llama.attention.layer_norm_rms_epsilon")),
            rope_parameters={"rope_type": "default", "rope_theta": theta},
            max_position_embeddings=field_value(reader, "llama.context_length"),
            tie_word_embeddings=True,
        )
    )
    state = {}
    for tensor in reader.tensors:
        weights = gguf.dequantize(tensor.data, tensor.tensor_type)
        state[_torch_name(tensor.name)] = torch.from_numpy(_torch_order(reader, tensor.name, weights))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    net.load_state_dict(state)
    return net.to(dtype)


def _torch_order(reader: Any, name: str, weights: np.ndarray) -> np.ndarray:
    part = name.split(".")[-2]  # "blk.0.attn_q.weight"
    return np.array(to_torch_rows(weights, heads_of(reader, part)) if part in ROTATED else weights, dtype=np.float32)


def _torch_name(name: str) -> str:
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if name in whole:
        return whole[name]
    parts = name.split(".")
    if len(parts) != 4 or parts[2] not in {**LINEARS, **NORMS}:
        raise ValueError(f"the GGUF file has a tensor {name!r} that a llama with tied embeddings does not have")
    module = {**LINEARS, **NORMS}[parts[2]]
    return f"model.layers.{parts[1]}.{module}.weight"


def load_tokenizer(path: Path) -> Any:
    """Load the tokenizer that lies in a GGUF file."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
