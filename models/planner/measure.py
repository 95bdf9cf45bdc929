"""Measures the local planner: `python -m models.planner.measure --home DIR`.

Two sets: pairs of the frames with a seed that training never used, and requests by voices that training never saw
(heldout.jsonl). A plan counts only if it is fully right (models/planner/score.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from models.planner import lines
from models.planner.data import HELD_OUT_SEED, pairs
from models.planner.grammar import grammar
from models.planner.prompt import SYSTEM, prompt_of
from models.planner.score import fully_right
from models.planner.signatures import trained

HELD_OUT = Path(__file__).with_name("heldout.jsonl")
Ask = Callable[[str, int], str]


def ask_with(path: Path, threads: int) -> Ask:
    """Give a function that asks the model in a GGUF file for a plan in lines."""
    from langchain_core.messages import HumanMessage, SystemMessage

    from models.language.local import LocalChatModel

    model = LocalChatModel(locate=lambda: path, n_threads=threads)
    tools = trained()
    grammars = [grammar(tools, [(f"a{one}", "image") for one in range(1, count + 1)]) for count in range(9)]

    def ask(request: str, assets: int) -> str:
        answer = model.bind(grammar=grammars[assets]).invoke([SystemMessage(SYSTEM), HumanMessage(request)])
        return str(answer.text)

    return ask


def held_out() -> list[dict[str, Any]]:
    """Give the requests of voices that training never saw, as pairs with a voice."""
    rows = [json.loads(line) for line in HELD_OUT.read_text().splitlines()]
    return [
        {
            "voice": row["voice"],
            "request": prompt_of(row["request"], row["context"]),
            "assets": len(row["context"]),
            "plan": row,
        }
        for row in rows
    ]


def own(count: int) -> list[dict[str, Any]]:
    """Give pairs of the frames with a seed of their own."""
    tools = trained()
    return [
        {
            "voice": pair["voice"],
            "request": pair["request"],
            "assets": pair["request"].count("\n") if pair["request"].startswith("@a1") else 0,
            "plan": lines.parse(pair["answer"], tools),
        }
        for pair in islice(pairs(HELD_OUT_SEED), count)
    ]


def measure(ask: Ask, rows: Iterable[dict[str, Any]], show: bool = False) -> dict[str, Any]:
    """Ask for each request; gives how many plans were fully right, by voice, and how long they took."""
    tools = trained()
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    took = []
    for row in rows:
        began = time.monotonic()
        text = ask(row["request"], row["assets"])
        took.append(time.monotonic() - began)
        try:
            good = fully_right(lines.parse(text, tools), row["plan"], tools)
        except lines.NotLines:
            good = False
        kind = row["voice"]
        asked[kind] += 1
        right[kind] += good
        if show and not good:
            print(f"- {row['request']!r}\n  {text!r}")
    return {
        "right": sum(right.values()),
        "asked": sum(asked.values()),
        "voices": {voice: (right[voice], asked[voice]) for voice in asked},
        "p50_s": statistics.median(took),
        "p95_s": sorted(took)[int(0.95 * (len(took) - 1))],
    }


def report(name: str, found: dict[str, Any]) -> str:
    """Put a measure into a line."""
    share = 100 * found["right"] / found["asked"]
    return (
        f"{name}: {found['right']} of {found['asked']} fully right ({share:.0f} %), "
        f"p50 {found['p50_s']:.2f} s, p95 {found['p95_s']:.2f} s"
    )


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="the studio's data folder, with the installed weights")
    parser.add_argument("--model", type=Path, help="another GGUF file instead")
    parser.add_argument("--untuned", action="store_true", help="also measure the base as it comes")
    parser.add_argument("--own", type=int, default=200, help="pairs of the frames")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print what was wrong")
    options = parser.parse_args()
    if options.model is None and options.home is None:
        parser.error("give --home or --model")
    from models.language.weights import BASE_FILE, FOLDER, local_model

    models = {"planner": options.model or local_model(options.home)}
    if options.untuned and options.home:
        models["untuned"] = options.home / FOLDER / BASE_FILE
    for name, path in models.items():
        ask = ask_with(path, options.threads)
        ask("hello", 0)
        print(report(f"{name}, own distribution", measure(ask, own(options.own), options.show)))
        found = measure(ask, held_out(), options.show)
        print(report(f"{name}, unseen voices", found))
        for voice, (right, asked) in sorted(found["voices"].items()):
            print(f"    {voice}: {right} of {asked}")


if __name__ == "__main__":
    main()
