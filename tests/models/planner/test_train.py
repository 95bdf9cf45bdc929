from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from models.planner import lora
from models.planner.data import pairs
from models.planner.train import Config, Run, encode, smoke, train


class Letters:
    def __call__(self, text: str) -> object:
        return type("Tokens", (), {"input_ids": [min(ord(letter), 127) for letter in text]})


def tiny(folder: Path, **given: int) -> Run:
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=2048,
    )  # fmt: skip
    return Run(LlamaForCausalLM(shape), Config(**{"examples": 64, "batch": 8, "rank": 2, "warm": 1, **given}), folder)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_loss_falls(tmp_path: Path) -> None:
    assert smoke(tmp_path) > 0.02
    assert (tmp_path / "planner.safetensors").exists()


def test_an_adapter_changes_nothing_at_first() -> None:
    linear = nn.Linear(8, 4)
    x = torch.randn(3, 8)
    assert torch.equal(lora.Adapted(linear, 2)(x), linear(x))


def test_only_the_adapter_is_trained(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    learns = {name for name, value in run.net.named_parameters() if value.requires_grad}
    assert learns
    assert all(name.endswith((".down", ".up")) for name in learns)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    train(run, Letters())
    again = tiny(tmp_path)
    assert again.resume()
    assert again.progress == run.progress
    assert all(torch.equal(a, b) for a, b in zip(run.parameters.values(), again.parameters.values(), strict=True))


def test_without_a_checkpoint_a_run_starts(tmp_path: Path) -> None:
    assert not tiny(tmp_path).resume()


def test_the_rate_reaches_zero_at_the_end_of_the_time(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    assert run.rate() > 0
    run.end_within(0)
    assert run.over()
    assert run.rate() == 0


def test_only_the_answer_counts() -> None:
    pair = next(pairs(1))
    tokens, prompt = encode(Letters(), pair)
    assert "".join(map(chr, tokens[prompt:])).startswith(pair["answer"][:20])
