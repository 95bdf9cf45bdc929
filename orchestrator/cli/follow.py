"""Shows a run while it happens."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.cli.connect import note

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, Task, TaskID

    from orchestrator.cli.client import Client

Plan = dict[str, Any]
MARKS = {"failed": "✗", "left out": "–", "stopped": "–"}


class View(Protocol):
    """Whoever is told of a run's events."""

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""

    def approves(self, why: str) -> bool | None:
        """Ask whether the plan may run; None where nobody can be asked."""


class Silent:
    """Shows nothing."""

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""

    def approves(self, why: str) -> bool | None:
        """Ask nobody."""
        return None


class Lines(Silent):
    """Prints each event as a line of JSON."""

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""
        print(json.dumps(event, ensure_ascii=False), flush=True)


class Bars:
    """Shows the plan, then a progress bar a step."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""
        show = getattr(self, "_" + event["type"].replace(".", "_"), None)
        if show is not None:
            show(event)

    def approves(self, why: str) -> bool | None:
        """Ask on the terminal."""
        if not sys.stdin.isatty():
            return None
        import typer

        self._progress.stop()
        said = typer.confirm(f"{why or 'This run was to wait'}. Run this plan?")
        self._progress.start()
        return said

    def _plan_created(self, event: dict[str, Any]) -> None:
        if event["plan"]["steps"]:
            print_plan(self._console, event["plan"])
            self._progress.start()
        for step in event["plan"]["steps"]:
            self._tasks[step["id"]] = self._progress.add_task(f"{step['id']} {step['tool']}", total=100, state="waits")

    def _step_queued(self, event: dict[str, Any]) -> None:
        self._set(event["step"], state="waits")
        if event.get("unserved"):
            self._console.print(f"{event['step']} waits: {event['unserved']}", style="yellow", markup=False)

    def _step_started(self, event: dict[str, Any]) -> None:
        self._set(event["step"], state="works")

    def _step_progress(self, event: dict[str, Any]) -> None:
        eta_s = event.get("eta_s")
        self._set(event["step"], completed=event["percent"], state=f"{eta_s:.0f} s left" if eta_s else "works")

    def _step_cached(self, event: dict[str, Any]) -> None:
        self._set(event["step"], completed=100, state="was made before")

    def _step_completed(self, event: dict[str, Any]) -> None:
        if self._state(event["step"]) != "was made before":
            self._set(event["step"], completed=100, state="done")

    def _step_failed(self, event: dict[str, Any]) -> None:
        self._set(event["step"], state="failed")
        self._console.print(f"{event['step']} failed: {event['error']['message']}", style="red", markup=False)

    def _step_cancelled(self, event: dict[str, Any]) -> None:
        self._set(event["step"], state="stopped")

    def _step_retrying(self, event: dict[str, Any]) -> None:
        self._set(event["step"], completed=0, state=f"tries again ({event['attempt']} of {event['of']} failed)")

    def _run_failed(self, _: dict[str, Any]) -> None:
        for step in self._tasks:
            if self._state(step) == "waits":
                self._set(step, state="left out")

    _run_cancelled = _run_failed

    def _state(self, step: str) -> str:
        task = self._tasks.get(step)
        return "" if task is None else str(self._progress.tasks[task].fields["state"])

    def _set(self, step: str, **fields: Any) -> None:
        if step in self._tasks:
            self._progress.update(self._tasks[step], **fields)


@contextmanager
def bars() -> Iterator[Bars]:
    """Give progress bars on the terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.text import Text

    class Mark(SpinnerColumn):
        """Turns while a step is on its way, then says how it ended."""

        def render(self, task: Task) -> RenderableType:
            mark = MARKS.get(task.fields["state"])
            return super().render(task) if mark is None else Text(mark)

    console = Console(highlight=False, soft_wrap=True)
    columns = (
        Mark(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
    )
    progress = Progress(*columns, console=console)
    try:
        yield Bars(console, progress)
    finally:
        if progress.live.is_started:  # one that never began would end with an empty line
            progress.stop()


def print_plan(console: Console, plan: Plan) -> None:
    """Print a plan, a line a step."""
    console.print("Plan", style="bold")
    for step in plan["steps"]:
        args = ", ".join(f"{name}={_value(value)}" for name, value in step["args"].items())
        console.print(f"  {step['id']}  {step['tool']}({args})", markup=False)


def _value(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        return _value(value[0])
    if isinstance(value, str) and value.startswith(("$", "@")):
        return value
    return json.dumps(value, ensure_ascii=False)


def _decided(client: Client, run_id: str, view: View, why: str) -> bool:
    """Approve or cancel a run that waits; say how where nobody can be asked."""
    if client.get(f"/v1/runs/{run_id}")["status"] != "waiting_approval":
        return True
    said = view.approves(why)
    if said is None:
        note(f"Run {run_id} waits for approval" + (f": {why}." if why else ".") + f" atelier runs approve {run_id}")
        return False
    client.post(f"/v1/runs/{run_id}/{'approve' if said else 'cancel'}")
    return True


@contextmanager
def held() -> Iterator[list[int]]:
    """Keep Ctrl-C back while a run is asked for, and give what came: without its id it could not be cancelled.

    A second Ctrl-C comes through.
    """
    came: list[int] = []

    def keep(number: int, _: Any) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = signal.signal(signal.SIGINT, keep)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def ask(client: Client, path: str, body: dict[str, Any], view: View) -> dict[str, Any]:
    """Ask for a run and follow it to its end; Ctrl-C cancels it from the first moment on.

    Raises:
        StudioError: the studio refused, or does not answer.
    """
    with held() as came:
        run = client.post(path, body)
        if run.get("unserved"):
            note(f"Run {run['id']} waits: {run['unserved']}.")
    return to_the_end(client, run["id"], view, cancel=bool(came))


def to_the_end(client: Client, run_id: str, view: View, *, cancel: bool = False) -> dict[str, Any]:
    """Follow a run until it has ended, and give it; one that waits for approval is asked about, or given as it is.

    Ctrl-C cancels it, as `cancel` does at once, and a second Ctrl-C stops looking.
    """
    try:
        if cancel:
            raise KeyboardInterrupt
        for event in client.events(run_id):
            view.event(event)
            if event["type"] == "approval.required" and not _decided(client, run_id, view, event.get("why") or ""):
                break
    except KeyboardInterrupt:
        note(f"Cancelling run {run_id} …")
        client.post(f"/v1/runs/{run_id}/cancel")
        for _ in client.events(run_id):
            pass
    return client.get(f"/v1/runs/{run_id}")
