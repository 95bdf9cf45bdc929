"""Pairs of request and plan, drawn from the frames: `python -m models.planner.data --out FILE --count N`."""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from models.planner.frames import Frame, frames
from models.planner.noise import disturb
from models.planner.phrases import english
from models.planner.prompt import prompt_of
from models.planner.replies import reply_line
from models.planner.slots import Slots

DEFAULTS = ("count=1", "size=256", "seconds=4", "fps=24", "limit=10", "max_words=200", "strength=0.5", 'model="auto"')
HELD_OUT_SEED = 9_000_001
STRAY = 0.07  # share of requests that stand in a thread but have nothing to do with it


def strip_defaults(line: str) -> str:
    """Take out arguments that say what the tool would do anyway."""
    for default in DEFAULTS:
        line = re.sub(rf", {re.escape(default)}(?=[,)])", "", line)
        line = re.sub(rf"\({re.escape(default)}, ", "(", line)
    return line


def pair(frame: Frame, rng: random.Random) -> dict[str, str]:
    """Draw one pair of a frame.

    Returns:
        `request` as the net reads it, `answer` as it should write it, `voice`.
    """
    slots = Slots(rng, frame.language)
    request = slots.say(rng.choice(frame.requests))
    assets = [slots.plan(asset) for asset in frame.assets]
    if frame.steps and not assets and rng.random() < STRAY:
        assets = [f"image {english(rng, 'phrase').prompt}" for _ in range(rng.choice((1, 2, 3)))]
    steps = [strip_defaults(slots.plan(step)) for step in frame.steps]
    reply = reply_line(steps, frame.language, slots) if frame.reply is None else slots.plan(frame.reply)
    answer = "\n".join([*steps, f"reply={json.dumps(reply, ensure_ascii=False)}"])
    request = disturb(request, rng, language=frame.language, plain=not steps)
    return {"request": prompt_of(request, assets), "answer": answer, "voice": f"{frame.language}: {frame.voice}"}


def weight(frame: Frame) -> float:
    """Give a frame's share: it grows with its requests; what the net learns at once gets less."""
    share: float = len(frame.requests) ** 0.85
    return share * (0.7 if frame.voice == "plain" else 1.0) * (1.0 if frame.steps else 0.45)


def pairs(seed: int) -> Iterator[dict[str, str]]:
    """Draw pairs without end; one seed means one sequence. A frame's share grows with the root of its requests."""
    rng = random.Random(seed)
    known = frames()
    weights = [weight(frame) for frame in known]
    while True:
        yield pair(rng.choices(known, weights)[0], rng)


def main() -> None:
    """Write pairs as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = pairs(options.seed)
    with options.out.open("w") as out:
        for _ in range(options.count):
            out.write(json.dumps(next(source), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
