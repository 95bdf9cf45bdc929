"""A language model that says what a script says: for tests and for trying the studio without any model.

A script is a JSON list of lines, the first that fits the last message answers:

    [{"match": "cat", "reply": {"steps": [], "reply": "No cats today."}},
     {"match": ".*", "reply": "text", "delay_s": 0.1, "fail": "the model is away", "times": 2}]

`reply` is text, a plan as JSON, or a list of either (one a call, the last stays). `fail` raises instead; with `times`
a line serves that many calls only.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from models.language.errors import LanguageModelAway, LanguageModelError

Reply = str | dict[str, Any]


class Line(BaseModel):
    """One line of a script; see the module."""

    model_config = ConfigDict(extra="forbid")

    match: str = ".*"
    reply: Reply | list[Reply] = ""
    delay_s: float = Field(0.0, ge=0)
    fail: str | None = None
    times: int | None = Field(None, ge=1)


class ScriptedChatModel(BaseChatModel):
    """Answers by a script.

    Attributes:
        lines: the script.
        calls: what was asked, call by call: the text of all messages.
    """

    lines: list[Line]
    calls: list[str] = Field(default_factory=list)

    _used: dict[int, int] = PrivateAttr(default_factory=dict)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def from_file(cls, path: Path) -> ScriptedChatModel:
        """Read a script.

        Raises:
            ValueError: the file is not a list of lines.
        """
        try:
            script = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"the script {str(path)!r} cannot be read: {error}") from error
        return cls(lines=[Line.model_validate(line) for line in script])

    @property
    def _llm_type(self) -> str:
        return "atelier-scripted"

    def _answer(self, messages: list[BaseMessage]) -> str:
        asked = str(messages[-1].text)
        with self._lock:
            self.calls.append("\n".join(str(message.text) for message in messages))
            for number, line in enumerate(self.lines):
                used = self._used.get(number, 0)
                if (line.times is None or used < line.times) and re.search(line.match, asked, re.DOTALL):
                    self._used[number] = used + 1
                    break
            else:
                raise LanguageModelError(f"the script has no line for {asked[:200]!r}")
        time.sleep(line.delay_s)
        if line.fail is not None:
            raise LanguageModelAway(line.fail)
        reply = line.reply[min(used, len(line.reply) - 1)] if isinstance(line.reply, list) else line.reply
        return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._answer(messages)))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in re.findall(r"\s*\S+\s*$|\s*\S+", self._answer(messages)) or [""]:
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
