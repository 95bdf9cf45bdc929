"""Tools that do nothing but behave, for the laboratory: they idle, die, fail, count, or come again later.

Each call of a step is written to a journal, one line a call, so that a step that ran twice can be seen.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from store import runs
from store.steps import Claim
from store.transition import Transition
from tools.base import Job, Made, Results, ToolArgs, ToolError, ToolFailed, ToolSpec, TryLater
from workers.bench import Bench, InnerRunner
from workers.planned import new_steps

JOURNAL = "LAB_JOURNAL"  # environment: the journal's path
DRAIN = "LAB_DRAIN_S"  # environment: how long a worker that is told to end goes on
QUEUE = "LAB_QUEUE"  # environment: the queue of all tools here
ECHO = "lab.echo"  # a bare Celery task
COUNT = "lab.count"  # a bare Celery task without an answer: a line in the journal
OWNER = "local"  # as the API calls its only user
TICK_S = 0.02
BATCH = 8


class NoopArgs(ToolArgs):
    """No arguments."""


class WorkArgs(ToolArgs):
    """What a step shall do."""

    key: str = Field("", max_length=200)
    seconds: float = Field(0, ge=0, le=600)
    deaf: bool = False  # works in one piece, without a word and without listening
    times: int = Field(0, ge=0, le=10)  # how often it is to come again later
    poison: bool = False  # kills its process
    after: tuple[str, ...] = ()  # "$s1": waits for it


def answers_at(broker_url: str) -> str | None:
    """Give where answers come back; nobody asks for any where the broker is not Redis."""
    return broker_url if broker_url.startswith("redis") else None


def journal(key: str) -> None:
    """Write a line in one call, so that no two processes mix theirs."""
    descriptor = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{key} {os.getpid()}\n".encode())
    finally:
        os.close(descriptor)


def calls(path: Path) -> list[str]:
    """Give the keys in the order of the calls."""
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def noop(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Make nothing."""
    return [[] for _ in jobs]


def write(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Take the time that was asked for, then make a line of text."""
    for job in jobs:
        journal(job.args.key)
        if job.args.poison:
            os.kill(os.getpid(), signal.SIGKILL)
    seconds = max(job.args.seconds for job in jobs)
    deaf = any(job.args.deaf for job in jobs)
    if deaf:
        time.sleep(seconds)
    else:
        _listen(jobs, seconds)
    return [[_text(job.args.key)] for job in jobs]


def _listen(jobs: Sequence[Job], seconds: float) -> None:
    started = time.monotonic()
    while (spent := time.monotonic() - started) < seconds:
        for job in jobs:
            job.workshop.progress(spent / seconds)
        time.sleep(TICK_S)


def _text(key: str) -> Made:
    return Made("text", "text/plain", f"{key}\n".encode(), f"line {key}", {"key": key})


def fail(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Fail for good."""
    return [ToolFailed(f"{job.args.key}: no ink") for job in jobs]


def later(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Come again later, `times` times, then work."""
    path = Path(os.environ[JOURNAL])
    outcomes: list[Results | ToolError] = []
    for job in jobs:
        journal(job.args.key)
        seen = calls(path).count(job.args.key)
        outcomes.append(TryLater("the shop is closed") if seen <= job.args.times else [_text(job.args.key)])
    return outcomes


def specs() -> dict[str, ToolSpec]:
    """Give the laboratory's tools by name."""
    queue = os.environ.get(QUEUE, "image")

    def spec(name: str, runner: str, args: type[ToolArgs] = WorkArgs, **options: Any) -> ToolSpec:
        where = f"benchmarks.lab_tools:{runner}"
        return ToolSpec(name, f"{name}, in the laboratory", args, "text", queue, where, exact=False, **options)

    made = (
        spec("noop", "noop", NoopArgs),
        spec("write", "write"),
        spec("write_together", "write", batch=BATCH, batch_key=lambda _: "together"),
        spec("fail", "fail"),
        spec("later", "later"),
    )
    return {one.name: one for one in made}


def _plan(bench: Bench, claim: Claim) -> Any:
    """Plan as the request says: "key seconds count", for example "cat 0.2 3"; the seconds are spent here.

    A fourth word gives the seconds of each step.
    """
    with bench.database.read() as connection:
        request = str(runs.require(connection, claim.owner, claim.run_id).request)
    key, seconds, count, *each_s = request.split()
    journal(f"plan:{key}")
    time.sleep(float(seconds))
    more = {"seconds": float(each_s[0])} if each_s else {}
    steps = [{"id": f"s{n}", "tool": "write", "args": {"key": f"{key}-{n}", **more}} for n in range(1, int(count) + 1)]
    plan = {"steps": steps, "reply": ""}
    stored = new_steps(plan, bench.specs, bench.max_attempts)
    return lambda t: runs.save_plan(t, claim.run_id, plan, stored)


def _reply(_: Bench, claim: Claim) -> Any:
    def answer(t: Transition) -> None:
        runs.set_reply(t, claim.run_id, "done")

    return answer


INNER: Mapping[str, InnerRunner] = {runs.PLAN: _plan, runs.REPLY: _reply}
