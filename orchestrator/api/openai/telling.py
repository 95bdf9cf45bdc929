"""What a run says and shows, piece by piece: its events as the content of an answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.api.context import Context
from store import assets
from store.assets import Asset
from store.events import TERMINAL, Event

TEXT_CHARACTERS = 20_000  # of a text that is said in whole; a longer one is a link
CAPTION = 120  # characters of a link


@dataclass(frozen=True)
class Words:
    """The answer goes on."""

    text: str


@dataclass(frozen=True)
class Drawn:
    """A picture was made."""

    asset: Asset


@dataclass(frozen=True)
class Sign:
    """Something goes on that is no part of the answer; for people who read the stream."""

    text: str


@dataclass(frozen=True)
class Waits:
    """A person has to approve the plan before anything else happens."""

    why: str


@dataclass(frozen=True)
class End:
    """The run has ended: "completed", "failed" or "cancelled"."""

    status: str
    error: dict[str, Any] | None
    at: float


Piece = Words | Drawn | Sign | Waits | End


class Library:
    """What an answer looks up of an owner's things."""

    def __init__(self, here: Context, owner: str, base_url: str) -> None:
        self._here, self._owner = here, owner
        self._base = base_url.rstrip("/")

    def assets(self, ids: Sequence[str]) -> list[Asset]:
        """Give assets by their ids; those that were deleted since are left out."""
        with self._here.database.read() as connection:
            return assets.get_many(connection, self._owner, ids)

    def text(self, asset: Asset) -> str:
        """Give the words of a text."""
        return self.content(asset).decode("utf-8", errors="replace").strip()

    def content(self, asset: Asset) -> bytes:
        """Give the bytes of an asset."""
        return self._here.blobs.get(asset.sha256)

    def reads(self, tool: str) -> bool:
        """Say whether a tool brings in words from outside: what it gives is not what the studio says."""
        spec = self._here.tools(self._owner).get(tool)
        return spec is None or spec.reads

    def url(self, asset: Asset) -> str:
        """Give the address of an asset's bytes."""
        return f"{self._base}/v1/assets/{asset.id}/content"

    def link(self, asset: Asset) -> str:
        """Give a link in Markdown: a picture shows itself."""
        words = " ".join(asset.caption.translate({ord(sign): " " for sign in "[]<>"}).split())[:CAPTION]
        return f"{'!' if asset.kind == 'image' else ''}[{words or asset.kind}]({self.url(asset)})"


class Telling:
    """Turns the events of one run, from the first on, into pieces; the same events give the same pieces.

    The text is, in this order: texts that were made, as they are written; the reply; a link to each asset.

    Attributes:
        text: all words until now.
        shown: all assets until now.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.text = ""
        self.shown: list[Asset] = []
        self._replied = ""  # of the reply, before it was whole
        self._writing: str | None = None  # the step whose text is said while it is written
        self._heard: dict[str, str] = defaultdict(str)

    def take(self, event: Event) -> list[Piece]:
        """Give what an event adds."""
        if event.type == "text.delta":
            return self._delta(event.data.get("step"), str(event.data["text"]))
        if event.type == "step.completed":
            return self._completed(event.data["step"], event.data["tool"], event.data["assets"])
        if event.type == "approval.required":
            return [Waits(str(event.data.get("why") or "its plan was asked to be looked at first"))]
        if event.type in TERMINAL:
            return self._ended(event)
        if event.type == "step.progress":
            return [Sign(f"{event.data['step']} {event.data['percent']} %")]
        return []

    def _delta(self, step: str | None, text: str) -> list[Piece]:
        if step is None:
            said = self._say(text, begins=not self._replied)
            self._replied += text
            return said
        if self._writing not in {None, step}:  # two texts at once: the second is said when it is whole
            return []
        self._writing = step
        new = text if self._heard[step] else text.lstrip()
        begins = not self._heard[step]
        self._heard[step] += new
        return self._say(new, begins=begins)

    def _completed(self, step: str, tool: str, ids: Sequence[str]) -> list[Piece]:
        pieces: list[Piece] = []
        made = [asset for asset in self.library.assets(ids) if asset not in self.shown]
        self.shown += made
        for asset in made:
            is_made = asset.recipe is not None and asset.recipe.get("tool") == tool
            if is_made and asset.kind == "image":
                pieces.append(Drawn(asset))
            elif is_made and asset.kind == "text" and asset.size_bytes <= TEXT_CHARACTERS:
                pieces += [] if self.library.reads(tool) else self._rest(self._heard[step], self.library.text(asset))
        if self._writing == step:
            self._writing = None
        return pieces

    def _ended(self, event: Event) -> list[Piece]:
        pieces = self._rest(self._replied, str(event.data.get("reply") or ""))
        if self.shown and event.type != "run.cancelled":
            pieces += self._say("\n".join(map(self.library.link, self.shown)), begins=True)
        return [*pieces, End(event.type.removeprefix("run."), event.data.get("error"), event.created_at)]

    def _rest(self, heard: str, whole: str) -> list[Piece]:
        """Say what is missing of a text; all of it where it came out otherwise (a step was begun again)."""
        if heard and whole.startswith(heard.rstrip()):
            return self._say(whole[len(heard.rstrip()) :].removeprefix(heard[len(heard.rstrip()) :]), begins=False)
        return self._say(whole, begins=True)

    def _say(self, text: str, *, begins: bool) -> list[Piece]:
        if not text:
            return []
        said = f"\n\n{text}" if begins and self.text else text
        self.text += said
        return [Words(said)]
