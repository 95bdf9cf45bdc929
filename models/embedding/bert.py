"""A sentence encoder of the BERT family in numpy: reads a sentence-transformers folder, imports in a moment.

Loading sentence-transformers takes a process several seconds (it brings scikit-learn and torch's distributed code);
this takes a tenth of one and gives the same vectors. `fits` says which folders it can read.

Letters: T tokens, D width, A attention heads, I inner width.

Source: Devlin et al. 2019, "BERT"; Reimers and Gurevych 2019, "Sentence-BERT" (mean pooling).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

MODULES = ("Transformer", "Pooling", "Normalize")


def fits(folder: Path) -> bool:
    """Say whether a folder holds a BERT with mean pooling, normalised: all that this module knows."""
    try:
        modules = tuple(entry["type"].rpartition(".")[2] for entry in _json(folder / "modules.json"))
        config = _json(folder / "config.json")
        pooling = _json(folder / "1_Pooling" / "config.json")
    except (OSError, ValueError, KeyError):
        return False
    modes = {name for name, value in pooling.items() if name.startswith("pooling_mode") and value is True}
    return (
        modules == MODULES
        and config["model_type"] == "bert"
        and config["hidden_act"] == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and modes == {"pooling_mode_mean_tokens"}
        and (folder / "model.safetensors").is_file()
        and (folder / "tokenizer.json").is_file()
    )


class Bert:
    """The net and its tokenizer.

    Args:
        folder: one that `fits`.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from threadpoolctl import ThreadpoolController
        from tokenizers import Tokenizer

        config = _json(folder / "config.json")
        self.heads = int(config["num_attention_heads"])
        self.layers = int(config["num_hidden_layers"])
        self.epsilon = np.float32(config["layer_norm_eps"])
        self.dim = int(config["hidden_size"])
        self.weights: dict[str, np.ndarray] = load_file(folder / "model.safetensors")
        # The matrices are small: on a busy machine a second BLAS thread costs ten times what it gives.
        self.pools = ThreadpoolController().select(user_api="blas")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(int(_json(folder / "sentence_bert_config.json")["max_seq_length"]))

    def encode(self, text: str) -> np.ndarray:
        """Give the unit vector of a text, (D,) float32."""
        hidden = self._embed(self.tokenizer.encode(text).ids)
        with self.pools.limit(limits=1):
            for layer in range(self.layers):
                hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        pooled = hidden.mean(axis=0)
        unit: np.ndarray = pooled / np.maximum(np.linalg.norm(pooled), np.float32(1e-12))
        return unit

    def _embed(self, tokens: list[int]) -> np.ndarray:
        hidden = (
            self.weights["embeddings.word_embeddings.weight"][tokens]
            + self.weights["embeddings.position_embeddings.weight"][: len(tokens)]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        return self._norm(hidden, "embeddings.LayerNorm")

    def _layer(self, hidden: np.ndarray, name: str) -> np.ndarray:
        attended = self._linear(self._attend(hidden, f"{name}attention.self."), f"{name}attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}attention.output.LayerNorm")
        inner = gelu(self._linear(hidden, f"{name}intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _attend(self, hidden: np.ndarray, name: str) -> np.ndarray:
        T, D = hidden.shape
        query, key, value = (
            self._linear(hidden, name + part).reshape(T, self.heads, D // self.heads).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        logits = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(D // self.heads))  # (A, T, T)
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed: np.ndarray = (shares @ value).transpose(1, 0, 2).reshape(T, D)
        return mixed

    def _linear(self, hidden: np.ndarray, name: str) -> np.ndarray:
        made: np.ndarray = hidden @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return made

    def _norm(self, hidden: np.ndarray, name: str) -> np.ndarray:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + self.epsilon)
        made: np.ndarray = centred / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return made


def gelu(x: np.ndarray) -> np.ndarray:
    """Give x times the normal distribution's cumulative function, float32.

    Source: Abramowitz and Stegun 7.1.26 for erf, absolute error under 1.5e-7.
    """
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        poly = (poly + np.float32(factor)) * t
    tail = poly * np.exp(-z * z)  # 1 - erf(|x| / sqrt 2)
    made: np.ndarray = x * np.where(x >= 0, 1 - tail / 2, tail / 2)
    return made


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
