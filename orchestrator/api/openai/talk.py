"""Messages of OpenAI's clients: what is asked, what was said before, and the pictures that came with it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.api import uploads
from orchestrator.api.context import Context
from orchestrator.api.sniff import sniff
from orchestrator.errors import Invalid, NotFound, TooLarge, Unsupported
from store import assets, files
from store.conversations import Before, Turn

TURNS = 8  # of what was said before; the planner reads no more
REQUEST = 8000  # characters of what is asked, as everywhere
TURN = 100_000  # characters of anything else
ASSET = r"asset_[0-9A-HJKMNP-TV-Z]{26}"
OURS = re.compile(rf"^(?:https?://[^/?#]+)?/v1/assets/({ASSET})/content$")
LINK = re.compile(rf"!?\[[^\]\n]*\]\((?:https?://[^/)\s]+)?/v1/assets/({ASSET})/content\)")
DATA = re.compile(r"^data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.ASCII)
TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}


@dataclass(frozen=True)
class Sent:
    """A picture in a message: its bytes, or the id of an asset or a file."""

    param: str
    content: bytes = b""
    id: str = ""


@dataclass(frozen=True)
class Message:
    """Who says what; the parts in the order in which they came."""

    role: str
    parts: Sequence[str | Sent]


@dataclass
class Talk:
    """What is asked, and what came before it."""

    request: str
    turns: list[Turn] = field(default_factory=list)
    instructions: str = ""

    def before(self, follows: str | None = None, *, always: bool = False) -> Before | None:
        """Give what makes the run's thread; None where nothing was said before."""
        if not (always or follows or self.turns or self.instructions):
            return None
        return Before(self.turns[-TURNS:], self.instructions, follows)


def message(role: str, content: Any, param: str) -> Message:
    """Read a message.

    Raises:
        Invalid: there is a part in it that this studio cannot read.
    """
    if content is None or isinstance(content, str):
        return Message(role, [_text(content or "", param)])
    return Message(role, [_part(part, f"{param}.{number}") for number, part in enumerate(content)])


def _part(part: Mapping[str, Any], param: str) -> str | Sent:
    kind = part.get("type")
    if isinstance(kind, str) and kind in TEXTS:
        return _text(part.get(TEXTS[kind]), param)
    if kind == "image_url":
        shown = part.get("image_url")
        return _picture(shown.get("url") if isinstance(shown, Mapping) else shown, param)
    if kind == "input_image":
        if isinstance(named := part.get("file_id"), str):
            return Sent(param, id=named)
        return _picture(part.get("image_url"), param)
    raise Invalid(f"{param}: a part is text or a picture, not {kind!r}; upload other files to /v1/assets", param=param)


def _text(text: Any, param: str) -> str:
    if not isinstance(text, str):
        raise Invalid(f"{param}: there is no text in it", param=param)
    if len(text) > TURN:
        raise Invalid(f"{param}: it has {len(text):,} characters, and {TURN:,} are the most", param=param)
    if "\0" in text:
        raise Invalid(f"{param}: the character U+0000 cannot be stored", param=param)
    return LINK.sub(r"@\1", text)


def _picture(url: Any, param: str) -> Sent:
    if not isinstance(url, str):
        raise Invalid(f"{param}: there is no address of a picture in it", param=param)
    if ours := OURS.match(url):
        return Sent(param, id=ours[1])
    head = DATA.match(url)
    if head is None:
        instead = "send the picture as a data: URL in base64, or upload it to /v1/assets and give the address of that"
        raise Invalid(f"{param}: pictures are not fetched from elsewhere; {instead}", param=param)
    try:
        return Sent(param, content=base64.b64decode(url[head.end() :], validate=True))
    except binascii.Error as error:
        raise Invalid(f"{param}: the data: URL is not base64: {error}", param=param) from error


def read(
    here: Context, owner: str, messages: Sequence[Message], instructions: str = "", param: str = "messages"
) -> Talk:
    """Make a request of messages; pictures go into the library.

    Args:
        messages: oldest first; the last one is what is asked.
        instructions: what holds for the answer, beside system messages.
        param: what the client calls the messages.

    Raises:
        Invalid: the last message is not the user's, or asks too much or nothing.
        NotFound: an asset or a file is named that is not there.
    """
    if not messages or messages[-1].role != "user":
        raise Invalid(f"{param}: the last one has to be the user's", param=param)
    *earlier, last = messages
    if sum(len(part) for part in last.parts if isinstance(part, str)) > REQUEST:
        raise Invalid(f"{param}: the last one has more than {REQUEST} characters", param=param)
    if not any(part.strip() if isinstance(part, str) else True for part in last.parts):
        raise Invalid(f"{param}: there are no words in the last one", param=param)
    system = [_words(here, owner, one) for one in earlier if one.role in {"system", "developer"}]
    said = [one for one in earlier if one.role not in {"system", "developer"}][-TURNS:]
    turns = [Turn(one.role, text) for one in said if (text := _words(here, owner, one))]
    rules = "\n\n".join(text for text in [instructions.strip(), *system] if text)
    return Talk(_words(here, owner, last), turns, rules)


def _words(here: Context, owner: str, said: Message) -> str:
    texts = [part.strip() if isinstance(part, str) else f"@{_asset(here, owner, part)}" for part in said.parts]
    return "\n".join(text for text in texts if text)


def _asset(here: Context, owner: str, sent: Sent) -> str:
    """Give the id of the asset that a picture is; bytes that are in the library already are not stored twice."""
    content = sent.content
    if sent.id.startswith("asset_"):
        with here.database.read() as connection:
            if assets.get(connection, owner, sent.id) is None:
                raise NotFound(f"there is no asset {sent.id!r}", param=sent.param)
        return sent.id
    if sent.id:
        with here.database.read() as connection:
            content = here.blobs.get(files.get(connection, owner, sent.id).sha256)
    return _kept(here, owner, content, sent.param)


def _kept(here: Context, owner: str, content: bytes, param: str) -> str:
    if len(content) > here.settings.max_upload_mb << 20:
        raise TooLarge(f"{param}: the picture is larger than {here.settings.max_upload_mb} MB", param=param)
    if sniff(content).kind != "image":
        raise Unsupported(f"{param}: that is no PNG, JPEG, WebP or GIF", param=param)
    sha256 = here.blobs.put(content)
    with here.database.read() as connection:
        known = assets.by_sha256(connection, owner, sha256)
    return (known or uploads.save(here, owner, content, "a picture that was sent", ())).id
