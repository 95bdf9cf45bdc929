import json
import sys
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from models.language import CheckpointError, LanguageSetupError, chat_model, dialect
from models.language.errors import LanguageModelAway, LanguageModelError, translated
from models.language.scripted import ScriptedChatModel


def script(folder: Path, *lines: dict[str, object]) -> ScriptedChatModel:
    path = folder / "script.json"
    path.write_text(json.dumps(lines))
    model = chat_model(f"scripted:{path}")
    assert isinstance(model, ScriptedChatModel)
    return model


def test_the_seam_imports_nothing_heavy() -> None:
    import subprocess

    heavy = ("torch", "xllamacpp", "langchain_core", "openai")
    code = f"import models.language, sys; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gpt-4", "names no language model"),
        ("anthropic:some-model", "pip install langchain-anthropic"),
        ("ollama:some-model", "pip install langchain-ollama"),
        ("openai", "set ATELIER_LLM_BASE_URL"),
        ("local", "data folder"),
    ],
)
def test_what_is_missing_is_named_with_the_way_out(spec: str, says: str) -> None:
    with pytest.raises(LanguageSetupError, match=says):
        chat_model(spec)


def test_a_missing_local_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"python -m models\.language\.weights --home"):
        chat_model("local", home=tmp_path)


def test_a_base_url_means_that_server() -> None:
    from langchain_openai import ChatOpenAI

    model = chat_model("local", base_url="http://127.0.0.1:1/v1", model="some", api_key="k")
    assert isinstance(model, ChatOpenAI)
    assert model.model_name == "some"
    assert model.max_retries == 0
    assert dialect("local", base_url="http://127.0.0.1:1/v1") == "json"
    assert dialect("local") == "lines"


def test_a_server_that_is_not_there_may_be_asked_later() -> None:
    model = chat_model("openai", base_url="http://127.0.0.1:1/v1", model="some", api_key="k")
    with pytest.raises(LanguageModelAway), translated():
        list(model.stream("hello"))


def test_a_script_answers_by_the_first_line_that_fits(tmp_path: Path) -> None:
    model = script(
        tmp_path, {"match": "cat", "reply": {"steps": [], "reply": "No."}}, {"match": ".*", "reply": ["one", "two"]}
    )
    assert json.loads(str(model.invoke("a cat").text)) == {"steps": [], "reply": "No."}
    assert [str(model.invoke("dog").text) for _ in range(3)] == ["one", "two", "two"]
    assert model.calls[0] == "a cat"


def test_a_script_fails_as_often_as_it_says(tmp_path: Path) -> None:
    model = script(tmp_path, {"fail": "the model is away", "times": 1}, {"reply": "back"})
    with pytest.raises(LanguageModelAway, match="away"):
        model.invoke("x")
    assert str(model.invoke("x").text) == "back"


def test_a_script_streams(tmp_path: Path) -> None:
    model = script(tmp_path, {"reply": "one two  three"})
    pieces = [str(chunk.text) for chunk in model.stream([HumanMessage("x")])]
    assert "".join(pieces) == "one two  three"
    assert len(pieces) >= 3


def test_a_script_without_a_fitting_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="no line for 'dog'"):
        script(tmp_path, {"match": "cat", "reply": "x"}).invoke("dog")


def test_a_broken_script_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(ValueError, match=r"s\.json"):
        chat_model(f"scripted:{tmp_path / 's.json'}")
