"""Reads the hand-written frames: requests by voice, with slots, and the plan of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FRAMES = Path(__file__).with_name("frames.md")
VOICE = re.compile(r"## (\w\w): (.+)")


@dataclass
class Frame:
    """Requests that have one plan.

    Attributes:
        language: of the requests.
        voice: who speaks.
        assets: "kind caption" of the thread's last assets, oldest first.
        requests: in words, with slots and choices.
        steps: lines of the plan, with slots.
        reply: what is said; None puts it together from the plan.
    """

    language: str
    voice: str
    assets: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    reply: str | None = None


def _blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    language, voice = "en", ""
    for block in re.split(r"\n\s*\n", text):
        lines = [line.rstrip() for line in block.splitlines() if line.strip()]
        if lines and (head := VOICE.match(lines[0])):
            language, voice = head[1], head[2]
            lines = lines[1:]
        if lines and voice:
            yield language, voice, lines


def parse(text: str) -> list[Frame]:
    """Parse frames.

    Raises:
        ValueError: a line is none of the five kinds, or a frame lacks requests or an answer.
    """
    frames = []
    for language, voice, lines in _blocks(text):
        frame = Frame(language, voice)
        for line in lines:
            if line.startswith("@ "):
                frame.assets.append(line[2:])
            elif line.startswith("> "):
                frame.requests.append(line[2:])
            elif re.match(r"s\d+=", line):
                frame.steps.append(line)
            elif line.startswith("= "):
                frame.reply = line[2:]
            else:
                raise ValueError(f"frame of voice {voice!r}: what is {line!r}?")
        if not frame.requests or not (frame.steps or frame.reply):
            raise ValueError(f"frame of voice {voice!r} is not whole: {lines[0]!r}")
        frames.append(frame)
    return frames


@cache
def frames() -> list[Frame]:
    """Read all frames of the repository."""
    return parse(FRAMES.read_text())
