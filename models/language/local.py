"""The local language model: a GGUF file run by llama.cpp inside this process, as a LangChain chat model."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from models.language.errors import LanguageModelError

QUIET = -1
PASSED = ("grammar", "seed", "temperature", "max_tokens", "repeat_penalty", "top_p", "min_p", "cache_prompt")


class LocalChatModel(BaseChatModel):
    """A chat model over llama.cpp; the net is loaded once, at the first call.

    `.bind(grammar=…)` constrains the answer by a GBNF grammar. The text before the first difference to an earlier
    prompt is not computed again. Calls from several threads are served side by side, as far as `slots` goes.

    Attributes:
        locate: gives the GGUF file.
        locate_plain: gives the file of the net before it was trained to plan, for writing; None: the same.
        n_threads: of one forward pass; 0 takes what llama.cpp takes. Threads wait for each other in busy loops, so on a
            machine with other work one is many times faster than two, and on an idle one hardly slower.
        n_ctx: tokens of prompt and answer, shared by the slots.
        slots: calls that are served at once.
        temperature, seed, max_tokens: used where a call does not say.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    locate: Callable[[], Path]
    locate_plain: Callable[[], Path] | None = None
    n_threads: int = Field(1, ge=0)
    n_ctx: int = Field(4096, ge=256)
    slots: int = Field(2, ge=1)
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 512

    _server: Any = PrivateAttr(default=None)
    _loading: Any = PrivateAttr(default_factory=threading.Lock)
    _socket: Any = PrivateAttr(default=None)
    _plain: Any = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "atelier-local"

    def server(self) -> Any:
        """Give llama.cpp's server, loaded at the first call."""
        with self._loading:
            if self._server is None:
                self._server = self._load(self.locate())
            return self._server

    def _load(self, path: Path) -> Any:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel = self.n_ctx, self.slots
        params.kv_unified = True
        params.verbosity = QUIET
        params.ui = False
        if self.n_threads:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.n_threads
        # it listens in any case: on a socket that nobody else can open, not on a port
        self._socket = tempfile.TemporaryDirectory(prefix="atelier-llm-")
        params.hostnames = [str(Path(self._socket.name) / "llm.sock")]
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise LanguageModelError(f"llama.cpp could not load {path}: {error}") from error

    def plain(self) -> LocalChatModel:
        """Give the model that writes prose: the base as it comes, loaded at its first call."""
        if self.locate_plain is None:
            return self
        with self._loading:
            if self._plain is None:
                self._plain = LocalChatModel(
                    locate=self.locate_plain,
                    n_threads=self.n_threads,
                    n_ctx=self.n_ctx,
                    slots=1,
                    callbacks=self.callbacks,
                )
            made: LocalChatModel = self._plain
            return made

    def close(self) -> None:
        """Let the nets go; the next call loads them again."""
        with self._loading:
            if self._plain is not None:
                self._plain.close()
            self._server = None
            if self._socket is not None:
                self._socket.cleanup()
                self._socket = None

    def _body(self, messages: list[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": [_message(message) for message in messages],
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
            "cache_prompt": True,
        }
        body |= {name: given[name] for name in PASSED if given.get(name) is not None}
        if stop:
            body["stop"] = stop
        return body

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self.server().handle_chat_completions(self._body(messages, stop, kwargs))
        if "choices" not in answer:
            raise LanguageModelError(f"llama.cpp refused the request: {_reason(answer)}")
        choice, usage = answer["choices"][0], answer.get("usage", {})
        message = AIMessage(
            choice["message"].get("content") or "",
            response_metadata={"finish_reason": choice.get("finish_reason"), "timings": answer.get("timings", {})},
            usage_metadata={
                "input_tokens": usage.get("prompt_tokens", 0),
                "output_tokens": usage.get("completion_tokens", 0),
                "total_tokens": usage.get("total_tokens", 0),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        body = {**self._body(messages, stop, kwargs), "stream": True}
        for piece in _Stream(self.server(), body).pieces():
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk


class _Stream:
    """Turns the server's callbacks into an iterator; leaving the iterator stops the server."""

    def __init__(self, server: Any, body: dict[str, Any]) -> None:
        self._server, self._body = server, body
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._left = threading.Event()
        self._error: Exception | None = None

    def _take(self, chunk: Any) -> bool:
        for part in chunk if isinstance(chunk, list) else [chunk]:
            if "error" in part:
                self._error = LanguageModelError(f"llama.cpp refused the request: {_reason(part)}")
                return True
            for choice in part.get("choices", ()):
                if piece := choice.get("delta", {}).get("content"):
                    self._pieces.put(piece)
        return self._left.is_set()

    def _run(self) -> None:
        try:
            answer = self._server.handle_chat_completions(self._body, self._take)
            if isinstance(answer, dict) and "error" in answer:
                self._take(answer)
        except Exception as error:  # noqa: BLE001  # it is raised again where the stream is read
            self._error = error
        finally:
            self._pieces.put(None)

    def pieces(self) -> Iterator[str]:
        """Give the text as it comes."""
        worker = threading.Thread(target=self._run, daemon=True, name="llm-stream")
        worker.start()
        yield ""  # LangChain wants a chunk, also of an empty answer
        try:
            while (piece := self._pieces.get()) is not None:
                yield piece
        finally:
            self._left.set()
            worker.join()
        if self._error is not None:
            raise self._error


def _message(message: BaseMessage) -> dict[str, str]:
    role = "user"
    if isinstance(message, SystemMessage):
        role = "system"
    elif isinstance(message, AIMessage):
        role = "assistant"
    # the marks of the chat format are the format's alone
    return {"role": role, "content": str(message.text).replace("<|", "< |")}


def _reason(answer: Any) -> str:
    with suppress(KeyError, TypeError):
        return str(answer["error"]["message"])
    with suppress(KeyError, TypeError):
        return str(answer["message"])
    return str(answer)[:300]
