"""Puts words from outside into a prompt so that they cannot be taken for a part of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

OPEN, CLOSE = "<data>", "</data>"
# Without these signs there is no closing tag, no chat markup (<|im_end|>, <<SYS>>, [INST]) and nothing that is unseen.
_SIGNS = str.maketrans({"<": "‹", ">": "›"})
_ANGLES = {"LESS-THAN SIGN": "‹", "GREATER-THAN SIGN": "›"}
_UNSEEN = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INSTRUCTION = re.compile(r"\[\s*(/?)\s*(INST|SYSTEM|USER|ASSISTANT)\s*\]", re.IGNORECASE)


def fenced(texts: Sequence[str], characters: int) -> str:
    """Give texts between `<data>` and `</data>`; a line of dashes stands between two.

    Args:
        characters: the most of each text.
    """
    return f"{OPEN}\n" + "\n---\n".join(harmless(text)[:characters].rstrip() for text in texts) + f"\n{CLOSE}"


def harmless(text: str) -> str:
    """Give a text whose signs cannot end a fence or begin a turn of a chat; people read it as before."""
    text = _CONTROL.sub("", _UNSEEN.sub("", text))
    text = "".join(_angle(char) for char in text).translate(_SIGNS)
    text = _INSTRUCTION.sub(r"(\1\2)", text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line.split()) for line in text.split("\n"))).strip()


def _angle(char: str) -> str:
    """Give the sign for what looks like an angle bracket in another width ("＜", "﹤")."""
    if char.isascii():
        return char
    return _ANGLES.get(unicodedata.name(unicodedata.normalize("NFKC", char)[:1], ""), char)
