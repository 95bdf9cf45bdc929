"""The API asked at random, with a fixed seed: its description tells the truth.

This is the short form; `python -m benchmarks.api_fuzz --minutes 15` is the long one.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from benchmarks import api_fuzz

SECONDS = 20  # where a machine is slow it asks less, and never waits longer


def test_no_answer_is_outside_of_what_is_described(tmp_path: Path) -> None:
    options = ("--max-time", str(SECONDS), "--max-examples", "2", "--generation-deterministic")
    with api_fuzz.serving(f"sqlite:///{tmp_path}/studio.db", tmp_path) as (url, key):
        done = api_fuzz.ask(url, key, *options, phases=("examples", "fuzzing", "stateful"))
        assert httpx.get(f"{url}/healthz", trust_env=False).json()["ok"]
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
