"""What a run says and shows as the output of a response, and as the events of its stream."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from orchestrator.api.openai.telling import Drawn, End, Library, Piece, Sign, Waits, Words
from store.assets import Asset

NAMES = {"completed": "response.completed", "failed": "response.failed", "cancelled": "response.incomplete"}
Whole = Callable[[list[dict[str, Any]], str, End | None], dict[str, Any]]
"""Gives the response by its output, the run's status and its end."""


class Writing:
    """Turns pieces into events, numbered from 0; the same pieces give the same events, so that a reader can resume.

    Attributes:
        output: the items until now.
        end: how the run ended, if it has.
    """

    def __init__(self, library: Library, message_id: str, whole: Whole) -> None:
        self.output: list[dict[str, Any]] = []
        self.end: End | None = None
        self._library, self._message_id, self._whole = library, message_id, whole
        self._message: int | None = None  # where in the output
        self._number = -1

    def begin(self) -> list[dict[str, Any]]:
        """Give the events before the first piece."""
        shown = self._whole([], "pending", None)
        return [self._event("response.created", response=shown), self._event("response.in_progress", response=shown)]

    def take(self, piece: Piece) -> list[dict[str, Any]]:
        """Give the events of a piece."""
        match piece:
            case Words():
                return self._said(piece.text)
            case Drawn():
                return self._drawn(piece.asset)
            case Waits():
                shown = self._whole(list(self.output), "waiting_approval", None)
                return [self._event("response.in_progress", response=shown)]
            case End():
                return self._ended(piece)
            case Sign():
                return []

    def _said(self, text: str) -> list[dict[str, Any]]:
        events = [] if self._message is not None else self._opened()
        at = self._at()
        self.output[at["output_index"]]["content"][0]["text"] += text
        return [*events, self._event("response.output_text.delta", **at, content_index=0, delta=text, logprobs=[])]

    def _opened(self) -> list[dict[str, Any]]:
        self._message = len(self.output)
        item = {"id": self._message_id, "type": "message", "status": "in_progress", "role": "assistant"}
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        self.output.append({**item, "content": [part]})
        added = {"output_index": self._message, "item": {**item, "content": []}}
        return [
            self._event("response.output_item.added", **added),
            self._event("response.content_part.added", **self._at(), content_index=0, part=dict(part)),
        ]

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": self._message}

    def _closed(self) -> list[dict[str, Any]]:
        if self._message is None:
            return []
        item = self.output[self._message]
        item["status"] = "completed"
        part, at = item["content"][0], self._at()
        return [
            self._event("response.output_text.done", **at, content_index=0, text=part["text"], logprobs=[]),
            self._event("response.content_part.done", **at, content_index=0, part=part),
            self._event("response.output_item.done", output_index=self._message, item=item),
        ]

    def _drawn(self, asset: Asset) -> list[dict[str, Any]]:
        number = len(self.output)
        item = {"id": f"ig_{asset.id.removeprefix('asset_')}", "type": "image_generation_call"}
        result = base64.b64encode(self._library.content(asset)).decode()
        done = {
            **item,
            "status": "completed",
            "result": result,
            "output_format": asset.media_type.removeprefix("image/"),
            "revised_prompt": (asset.recipe or {}).get("args", {}).get("prompt"),
        }
        self.output.append(done)
        begun = {**item, "status": "in_progress", "result": None}
        return [
            self._event("response.output_item.added", output_index=number, item=begun),
            self._event("response.image_generation_call.completed", output_index=number, item_id=item["id"]),
            self._event("response.output_item.done", output_index=number, item=done),
        ]

    def _ended(self, end: End) -> list[dict[str, Any]]:
        self.end = end
        closed = self._closed()
        return [*closed, self._event(NAMES[end.status], response=self._whole(self.output, end.status, end))]

    def _event(self, name: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        return {"type": name, "sequence_number": self._number, **fields}
