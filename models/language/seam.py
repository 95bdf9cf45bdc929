"""Which language model: `chat_model` turns the setting into a LangChain chat model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.language.weights import base_model, local_model

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

TIMEOUT_S = 120.0
PACKAGES = {"anthropic": "langchain-anthropic", "ollama": "langchain-ollama", "google_genai": "langchain-google-genai",
            "mistralai": "langchain-mistralai", "groq": "langchain-groq", "bedrock": "langchain-aws"}  # fmt: skip
KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "google_genai": "GOOGLE_API_KEY",
        "mistralai": "MISTRAL_API_KEY", "groq": "GROQ_API_KEY"}  # fmt: skip
WAYS = (
    "use 'local', 'scripted:FILE.json', a provider like 'anthropic:MODEL' or 'ollama:MODEL', "
    "or give ATELIER_LLM_BASE_URL"
)


class LanguageSetupError(ValueError):
    """The language model cannot be set up as asked; the message names what is missing and the way out."""


def chat_model(
    spec: str = "local",
    *,
    home: Path | None = None,
    base_url: str | None = None,
    model: str | None = None,
    api_key: str | None = None,
    threads: int = 1,
) -> BaseChatModel:
    """Give a chat model; no net is loaded and nothing is asked before its first call.

    Args:
        spec: "local", "openai", "scripted:FILE.json", or "provider:model" as `init_chat_model` takes it.
        home: the studio's data folder, for "local".
        base_url: an OpenAI-compatible server; with it, "local" means this server.
        model: the model's name on that server.
        api_key: the key for that server or provider.
        threads: of the local model; more help little with so small a net, and wait for each other on a busy machine.

    Raises:
        LanguageSetupError: a package, a key or a name is missing.
        CheckpointError: the local model is not installed.
    """
    if base_url or spec == "openai":
        return _openai(base_url, model, api_key)
    if spec == "local":
        return _local(home, threads)
    kind, _, name = spec.partition(":")
    if kind == "scripted":
        from models.language.scripted import ScriptedChatModel

        return ScriptedChatModel.from_file(Path(name).expanduser())
    if not name:
        raise LanguageSetupError(f"{spec!r} names no language model: {WAYS}")
    return _provider(kind, name, api_key)


def dialect(spec: str = "local", *, base_url: str | None = None) -> Literal["lines", "json"]:
    """Give how a model writes plans: "lines" for the one that was trained to, "json" for all others."""
    return "lines" if spec == "local" and not base_url else "json"


def _local(home: Path | None, threads: int) -> BaseChatModel:
    if home is None:
        raise LanguageSetupError("the local language model needs the studio's data folder")
    from models.language.local import LocalChatModel

    base_model(home)
    return LocalChatModel(locate=partial(local_model, home), locate_plain=partial(base_model, home), n_threads=threads)


def _openai(base_url: str | None, model: str | None, api_key: str | None) -> BaseChatModel:
    if not base_url:
        raise LanguageSetupError(
            "there is no server: set ATELIER_LLM_BASE_URL (and ATELIER_LLM_MODEL, ATELIER_LLM_API_KEY)"
        )
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        base_url=base_url,
        model=model or "default",
        api_key=SecretStr(api_key or "none"),
        temperature=0.0,
        timeout=TIMEOUT_S,
        max_retries=0,
    )


def _provider(kind: str, name: str, api_key: str | None) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    given: dict[str, Any] = {"api_key": api_key} if api_key else {}
    try:
        made: BaseChatModel = init_chat_model(
            name, model_provider=kind, temperature=0.0, timeout=TIMEOUT_S, max_retries=0, **given
        )
    except ImportError as error:
        package = PACKAGES.get(kind, f"langchain-{kind}")
        raise LanguageSetupError(f"the provider {kind!r} needs a package: pip install {package}") from error
    except Exception as error:
        key = KEYS.get(kind)
        hint = f"; set {key} or ATELIER_LLM_API_KEY" if key and not api_key else ""
        raise LanguageSetupError(
            f"the language model {kind}:{name} could not be set up: {_short(error)}{hint}"
        ) from error
    return made


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
