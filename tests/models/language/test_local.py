"""The installed local model: what a user of the studio gets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from models.language import chat_model
from models.language.errors import LanguageModelError
from models.language.local import LocalChatModel
from models.language.write import write
from models.planner.prompt import SYSTEM
from orchestrator.planner.graph import Declined, Planner
from orchestrator.planner.plan import Plan
from tests.orchestrator.planner.conftest import DEMO, DEMO_PLAN
from tools.catalog import specs


@pytest.fixture(scope="module")
def local(installed_home: Path) -> Iterator[LocalChatModel]:
    model = chat_model("local", home=installed_home)
    assert isinstance(model, LocalChatModel)
    yield model
    model.close()


@pytest.fixture(scope="module")
def planner(local: LocalChatModel) -> Planner:
    return Planner(local, specs(), dialect="lines")


def test_the_demo(planner: Planner) -> None:
    drafted = planner.draft(DEMO)
    assert isinstance(drafted, Plan)
    assert drafted.model_dump()["steps"] == DEMO_PLAN["steps"]
    assert "cat" in drafted.reply


def test_a_wish_without_a_tool_is_declined_in_words(planner: Planner) -> None:
    told: list[str] = []
    drafted = planner.draft("book me a flight to Rome", on_text=told.append)
    assert isinstance(drafted, Declined)
    assert "".join(told) == drafted.reply


def test_one_seed_writes_one_text(local: LocalChatModel) -> None:
    texts = [write(local, "a caption", ["red car"], 20, seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert all(0 < len(text.split()) <= 20 for text in texts)


def test_a_stream_says_what_a_call_says_and_can_be_left(local: LocalChatModel) -> None:
    said = [SystemMessage(SYSTEM), HumanMessage("two red cars")]
    assert "".join(str(chunk.text) for chunk in local.stream(said)) == str(local.invoke(said).text)
    stream = local.stream(said)
    next(stream)
    stream.close()
    assert str(local.invoke(said).text).startswith("s1=")


def test_threads_are_served_side_by_side(local: LocalChatModel) -> None:
    def ask(count: int) -> str:
        return str(local.invoke([SystemMessage(SYSTEM), HumanMessage(f"{count} red cars")]).text)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(2, 6)))
    assert all(f"count={count})" in answer for count, answer in zip(range(2, 6), answers, strict=True))


def test_a_grammar_that_cannot_be_read_is_refused(local: LocalChatModel) -> None:
    with pytest.raises(LanguageModelError, match="grammar"):
        local.bind(grammar="root ::= nowhere").invoke("x")


def test_the_adapter_lies_in_the_rows_that_llama_cpp_reads(installed_home: Path) -> None:
    import gguf
    import numpy as np
    from safetensors import safe_open

    from models.language.gguf_llama import heads_of, to_torch_rows
    from models.language.weights import ADAPTER, base_model, local_model

    def rows(path: Path) -> np.ndarray:
        reader = gguf.GGUFReader(path)
        tensor = next(tensor for tensor in reader.tensors if tensor.name == "blk.0.attn_q.weight")
        return to_torch_rows(gguf.dequantize(tensor.data, tensor.tensor_type), heads_of(reader, "attn_q"))

    with safe_open(ADAPTER, "np") as file:
        scale = float(file.metadata()["scale"])
        up, down = (file.get_tensor(f"blk.0.attn_q.{part}").astype(np.float32) for part in ("up", "down"))
    wanted = rows(base_model(installed_home)) + scale * up @ down
    assert np.abs(rows(local_model(installed_home)) - wanted).max() < np.abs(wanted).max() / 127
