"""Asks solutions: within their limits, only what was approved, and with a line in the log for each call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from store import solutions
from store.database import Database
from store.runs import UnknownId
from store.solutions import Solution
from tools.base import InvalidInput, ToolError, ToolFailed, TryLater
from tools.solutions.base import (
    DECLARATION,
    Client,
    OfferedTool,
    Returned,
    SolutionAway,
    SolutionError,
    SolutionSaid,
    connect,
    digest,
)

log = logging.getLogger(__name__)
FRESH_S = 5.0  # for so long what a solution offers is not asked again
BROKEN_AFTER = 3  # failures in a row
REST_S = 30.0  # for so long a broken solution is not called
CHECK_S = 60.0  # how often the watch looks at each
CALLED = ("mcp", "openapi")


@dataclass
class _Open:
    """A connection, what it was made from, and when its tools were compared last."""

    declaration: Mapping[str, Any]
    client: Client
    seen_at: float = 0.0


@dataclass(frozen=True)
class Asking:
    """Who asks: for the log, and so that a cancelled run lets go at once.

    Attributes:
        token: of the claim of the step.
        on_progress: called a few times a second with how far the call is; what it raises ends the call.
    """

    owner: str
    run_id: str | None
    step_id: str | None
    on_progress: Callable[[float], None]
    token: int | None = None


class Solutions:
    """The connections of one worker process to solutions; they are closed with it."""

    def __init__(self, database: Database, open_client: Callable[[Any], Client] = connect) -> None:
        self._database = database
        self._open_client = open_client
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def ask(self, whole_name: str, args: Mapping[str, Any], asking: Asking) -> Returned:
        """Call an approved tool.

        Args:
            whole_name: "acme.find_product".

        Raises:
            InvalidInput: there is no such tool, or it refused the arguments.
            TryLater: the minute is full, or the solution was away and the call does no harm twice.
            ToolFailed: it changed, broke its limits, or may have done what was asked although it did not answer.
            LeaseLost: another worker has the step now; nothing was asked.
        """
        solution, tool, sends = self._approved(whole_name, asking.owner)
        limits = DECLARATION.validate_python(solution.declaration).limits
        client = self._checked_client(solution, sends=sends)
        call = self._begin(solution, tool, limits.calls_per_minute, asking, once=sends)
        return self._call(client, solution, tool, args, asking, call, limits.seconds, sends=sends)

    def check(self, name: str) -> Solution:
        """Look at what a service or program offers now, and write down what follows from it.

        Raises:
            UnknownId: there is no such solution.
            SolutionError: it did not say what it offers.
        """
        with self._database.read() as connection:
            solution = solutions.require(connection, name)
        return self._look(solution, self._client(solution))

    def watch(self) -> None:
        """Check the solutions that were not checked for a while; new ones of the settings file at once."""
        now = time.time()
        with self._database.read() as connection:
            known = solutions.list_(connection)
        for solution in known:
            if _is_due(solution, now):
                try:
                    self.check(solution.name)
                except (SolutionError, UnknownId) as error:
                    log.warning("solution %s: %s", solution.name, error)
                except Exception:  # a fault of ours with one keeps no other from being looked at
                    log.exception("solution %s could not be looked at", solution.name)
        self._close_all(but=[solution.name for solution in known])
        self._database.transact(lambda connection: solutions.forget_calls(connection, now=now))

    def close(self) -> None:
        """End all connections."""
        self._close_all(but=())

    def _approved(self, whole_name: str, owner: str) -> tuple[Solution, str, bool]:
        name, _, tool = whole_name.partition(".")
        with self._database.read() as connection:
            solution = solutions.find(connection, name, owner)
        if solution is None:
            raise InvalidInput(f"there is no solution {name!r}")
        if not solution.usable:
            why = f": {solution.error['message']}" if solution.error else ""
            raise ToolFailed(
                f"solution {name!r} is {solution.state}{why}; look at it with `atelier solutions check {name}`, which "
                "also approves it"
            )
        approved = next((one for one in solution.approved or () if one["name"] == tool), None)
        if approved is None:
            raise InvalidInput(f"solution {name!r} has no approved tool {tool!r}")
        self._rested(solution)
        return solution, tool, bool(approved["sends"])

    def _rested(self, solution: Solution) -> None:
        if solution.failures < BROKEN_AFTER or solution.error is None:
            return
        left_s = float(solution.error["at"]) + REST_S - time.time()
        if left_s > 0:
            raise ToolFailed(
                f"solution {solution.name!r} failed {solution.failures} times in a row and rests for {left_s:.0f} s "
                f"more; the last time: {solution.error['message']}"
            )

    def _begin(self, solution: Solution, tool: str, per_minute: int, asking: Asking, *, once: bool) -> int:
        begun = self._database.transact(
            lambda connection: solutions.begin_call(
                connection,
                solution.name,
                tool,
                per_minute=per_minute,
                owner=asking.owner,
                run_id=asking.run_id,
                step_id=asking.step_id,
                now=time.time(),
                token=asking.token,
                once=once,
            )
        )
        if begun is None:
            raise ToolFailed(
                f"{solution.name}.{tool} was called for this step already when the worker died or lost it, so it may "
                "have been carried out; look there, then try it again: atelier runs retry RUN"
            )
        if isinstance(begun, float):
            raise TryLater(f"solution {solution.name!r} is asked {per_minute} times a minute at most", after_s=begun)
        return begun

    def _call(
        self,
        client: Client,
        solution: Solution,
        tool: str,
        args: Mapping[str, Any],
        asking: Asking,
        call: int,
        seconds: float,
        *,
        sends: bool,
    ) -> Returned:
        try:
            returned = client.call(tool, args, on_progress=asking.on_progress, timeout_s=seconds)
        except SolutionSaid as error:
            self._end(solution, call, str(error), fault=False)
            raise InvalidInput(f"{solution.name}.{tool} refused: {error}") from error
        except SolutionError as error:
            self._end(solution, call, str(error), fault=True)
            raise self._as_tool_error(solution, tool, error, sends=sends) from error
        except BaseException as error:
            self._end(solution, call, f"stopped: {error}", fault=False)
            raise
        self._ended_well(solution, call, sum(len(part.content) for part in returned.parts))
        return returned

    def _ended_well(self, solution: Solution, call: int, size_bytes: int) -> None:
        def change(connection: Connection) -> None:
            now = time.time()
            solutions.end_call(connection, call, size_bytes=size_bytes, error=None, now=now)
            solutions.worked(connection, solution.name, now=now)

        self._database.transact(change)

    def _as_tool_error(self, solution: Solution, tool: str, error: SolutionError, *, sends: bool) -> ToolError:
        if isinstance(error, SolutionAway) and not sends:
            return TryLater(f"solution {solution.name!r} could not do it just now: {error}")
        if isinstance(error, SolutionAway):
            return ToolFailed(
                f"{solution.name}.{tool} could not do it just now ({error}), and it may have been carried out all the "
                "same; look there, then try it again: atelier runs retry RUN"
            )
        return ToolFailed(f"solution {solution.name!r} did not do its part: {error}")

    def _end(self, solution: Solution, call: int, message: str, *, fault: bool) -> None:
        def change(connection: Connection) -> None:
            now = time.time()
            solutions.end_call(connection, call, size_bytes=None, error=message, now=now)
            if fault:
                solutions.failed(connection, solution.name, message, now=now)

        self._database.transact(change)

    def _checked_client(self, solution: Solution, *, sends: bool) -> Client:
        """Give a client whose tools are the approved ones: as of now for what sends, else of a few seconds ago."""
        try:
            client = self._client(solution)
            with self._lock:
                open_ = self._open.get(solution.name)
            if sends or open_ is None or time.monotonic() - open_.seen_at > FRESH_S:
                solution = self._look(solution, client, is_call=True)
        except SolutionError as error:
            raise self._as_tool_error(solution, "", error, sends=False) from error
        if not solution.usable:
            said = (solution.error or {}).get("message", "it is not approved")
            raise ToolFailed(f"solution {solution.name!r}: {said}; see `atelier solutions check {solution.name}`")
        return client

    def _client(self, solution: Solution) -> Client:
        with self._lock:
            known = self._open.get(solution.name)
            if known is not None and known.declaration == solution.declaration:
                return known.client
            if known is not None:
                known.client.close()
            try:
                client = self._open_client(DECLARATION.validate_python(solution.declaration))
            except SolutionError as error:  # a secret is not where it should be, say
                self._note(solution, error)
                raise
            self._open[solution.name] = _Open(solution.declaration, client)
            return client

    def _note(self, solution: Solution, error: SolutionError) -> None:
        message = str(error)
        self._database.transact(lambda c: solutions.failed(c, solution.name, message, now=time.time()))

    def _look(self, solution: Solution, client: Client, *, is_call: bool = False) -> Solution:
        """Ask what is offered, and write it down; before a call only a difference: to be asked is not to succeed."""
        try:
            offered = client.offered()
        except SolutionError as error:
            self._note(solution, error)
            raise
        with self._lock:
            if solution.name in self._open:
                self._open[solution.name].seen_at = time.monotonic()
        if is_call and digest(offered) == solution.approved_digest:
            return solution
        return self._saw(solution, offered)

    def _saw(self, solution: Solution, offered: Sequence[OfferedTool]) -> Solution:
        at_once = solution.source == "file"
        stored = [tool.as_json() for tool in offered]
        return self._database.transact(
            lambda c: solutions.saw(
                c,
                solution.name,
                stored,
                digest(offered),
                approve=at_once,
                now=time.time(),
                declaration=solution.declaration,
            )
        )

    def _close_all(self, *, but: Sequence[str]) -> None:
        with self._lock:
            gone = [self._open.pop(name) for name in list(self._open) if name not in but]
        for one in gone:
            one.client.close()


def _is_due(solution: Solution, now: float) -> bool:
    """Say whether the watch looks at a solution now; documents have a watch of their own, a look offers no tools."""
    return solution.kind in CALLED and (solution.checked_at is None or solution.checked_at < now - CHECK_S)
