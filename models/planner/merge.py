"""Merges the adapter into the base: GGUF in, GGUF out, in Q8_0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.language.gguf_llama import LINEARS, ROTATED, heads_of, to_file_rows


def merge(base: Path, adapter: Path, out: Path) -> None:
    """Write the base with the adapter's weights added, its linears and embedding in Q8_0.

    The file appears whole or not at all.

    Raises:
        ValueError: the adapter does not fit the base.
    """
    import gguf
    from safetensors import safe_open

    reader = gguf.GGUFReader(base)
    temporary = out.with_name(f"{out.name}.tmp")
    writer = gguf.GGUFWriter(temporary, "llama")
    _copy_fields(reader, writer)
    with safe_open(adapter, "np") as file:
        scale = float(file.metadata()["scale"])
        known = set(file.keys())
        for tensor in reader.tensors:
            weights = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            name = tensor.name.removesuffix(".weight")
            if f"{name}.up" in known:
                weights = weights + _delta(reader, file, name, scale, weights.shape)
                known -= {f"{name}.up", f"{name}.down"}
            _add(writer, tensor.name, weights)
    if known:
        raise ValueError(f"{adapter.name} has parts that {base.name} does not have, {min(known)!r} for one")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.replace(out)


def _delta(reader: Any, file: Any, name: str, scale: float, shape: tuple[int, ...]) -> np.ndarray:
    up = file.get_tensor(f"{name}.up").astype(np.float32)
    down = file.get_tensor(f"{name}.down").astype(np.float32)
    part = name.rpartition(".")[2]
    if part not in LINEARS or (up.shape[0], down.shape[1]) != tuple(shape):
        raise ValueError(f"the adapter's {name!r} is {up.shape} by {down.shape}, and the base's is {shape}")
    if part in ROTATED:
        up = to_file_rows(up, heads_of(reader, part))
    delta: np.ndarray = scale * (up @ down)
    return delta


def _add(writer: Any, name: str, weights: np.ndarray) -> None:
    import gguf

    if weights.ndim == 1:
        writer.add_tensor(name, weights)
        return
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quantize(weights, kind), raw_dtype=kind)


def _copy_fields(reader: Any, writer: Any) -> None:
    import gguf

    ours = {"general.architecture", "general.file_type", "general.quantization_version"}
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ours:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
