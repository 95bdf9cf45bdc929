"""Vectors of texts: the same whatever they are asked with, near where the meaning is near."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.embedding import HashEncoder, TextEncoder, encoder
from models.embedding.encoder import Encoder

# Importing sentence-transformers warns of its own doings.
pytestmark = pytest.mark.filterwarnings("ignore")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "happy", "sad", "cat", "dog", "a", "##s", "the", "sun"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with drawn weights, laid out as sentence-transformers lays out a model."""
    from safetensors.numpy import save_file

    made = tmp_path_factory.mktemp("models") / "tiny-bert"
    D, inner, layers = 12, 20, 2
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": D,
        "intermediate_size": inner,
        "num_attention_heads": 3,
        "num_hidden_layers": layers,
        "max_position_embeddings": 32,
        "type_vocab_size": 2,
        "vocab_size": len(WORDS),
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    pooling = {"word_embedding_dimension": D, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (made / "1_Pooling").mkdir(parents=True)
    for path, content in (
        ("config.json", config),
        ("1_Pooling/config.json", pooling),
        ("modules.json", modules),
        ("sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False}),
        ("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 16}),
    ):
        (made / path).write_text(json.dumps(content))
    (made / "vocab.txt").write_text("\n".join(WORDS))
    _tokenizer().save(str(made / "tokenizer.json"))
    save_file(_weights(D, inner, layers), made / "model.safetensors")
    return made


def _tokenizer() -> object:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def _weights(D: int, inner: int, layers: int) -> dict[str, np.ndarray]:
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), D),
        "embeddings.position_embeddings.weight": (32, D),
        "embeddings.token_type_embeddings.weight": (2, D),
        "embeddings.LayerNorm.weight": (D,),
        "embeddings.LayerNorm.bias": (D,),
    }
    for layer in range(layers):
        name = f"encoder.layer.{layer}."
        for part, rows, columns in (
            ("attention.self.query", D, D),
            ("attention.self.key", D, D),
            ("attention.self.value", D, D),
            ("attention.output.dense", D, D),
            ("intermediate.dense", inner, D),
            ("output.dense", D, inner),
        ):
            shapes |= {f"{name}{part}.weight": (rows, columns), f"{name}{part}.bias": (rows,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{name}{part}.weight": (D,), f"{name}{part}.bias": (D,)}
    draw = np.random.default_rng(0)
    return {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(params=["hash", "bert"])
def made(request: pytest.FixtureRequest) -> Encoder:
    return HashEncoder(32) if request.param == "hash" else TextEncoder(request.getfixturevalue("folder"))


def test_vectors_are_units_and_do_not_depend_on_company(made: Encoder) -> None:
    texts = ["happy cat", "the sun", "", "happy cat", "cat " * 100]
    together = made.encode(texts)
    assert together.shape == (5, made.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_array_equal(made.encode([text])[0], vector)
    assert made.encode([]).shape == (0, made.dim)
    assert made.space.startswith("text/")


def test_words_in_common_are_near() -> None:
    cat, cats, car = HashEncoder().encode(["a happy cat", "Happy CAT!", "red car"])
    assert cat @ cats > 0.7
    assert abs(cat @ car) < 0.3


def test_the_space_is_named_after_the_model(folder: Path) -> None:
    assert TextEncoder(folder).space == "text/tiny-bert"
    assert TextEncoder("some/all-MiniLM-L6-v2").space == "text/all-MiniLM-L6-v2"


def test_what_was_encoded_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "REMEMBERED", 2)
    calls: list[str] = []
    made = TextEncoder(folder)
    made.encode(["a"])
    one = made._one
    assert one is not None
    made._known.clear()
    made._one = lambda text: (calls.append(text), one(text))[1]
    made.encode(["a", "a", "b", "a", "c", "a", "b"])
    assert calls == ["a", "b", "c", "b"]


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing-here"):
        TextEncoder(tmp_path / "nothing-here").encode(["a"])


def test_naming_the_space_loads_nothing(folder: Path) -> None:
    code = (
        "import sys; from models.embedding import TextEncoder; print(TextEncoder(sys.argv[1]).space)\n"
        "assert not {'torch', 'sentence_transformers'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0
