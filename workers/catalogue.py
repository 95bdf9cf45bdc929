"""The tools that an owner's plans can use: the studio's own, those of approved solutions, weights trained here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from store import solutions, versions
from store.database import Database
from store.solutions import Solution
from tools import catalog
from tools.base import ToolSpec
from tools.solutions import arguments
from tools.solutions.base import DECLARATION, OfferedTool, SolutionError

log = logging.getLogger(__name__)
KNOWLEDGE = "knowledge"
OWNERS = 256  # whose tools are kept ready


class Catalogue:
    """Gives tools by owner; what was read is kept until a solution or a trained weight changes.

    Args:
        own: the studio's own tools, by name.
    """

    def __init__(self, database: Database, own: Mapping[str, ToolSpec]) -> None:
        self._database = database
        self._own = own
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Any, Mapping[str, ToolSpec]]] = {}

    def tools(self, owner: str) -> Mapping[str, ToolSpec]:
        """Give the tools that an owner's plans can use, by name."""
        with self._database.read() as connection:
            revision = (solutions.revision(connection), tuple(self._own))
            with self._lock:
                known = self._known.get(owner)
            if known is not None and known[0] == revision:
                return known[1]
            found = self._read(connection, owner)
        with self._lock:
            if len(self._known) >= OWNERS:
                self._known.clear()
            self._known[owner] = (revision, found)
        return found

    def _read(self, connection: Connection, owner: str) -> Mapping[str, ToolSpec]:
        found = {}
        for name, spec in self._own.items():
            there = {argument: names(connection, owner, family) for argument, family in spec.choices.items()}
            found[name] = catalog.with_choices(spec, there)
        for solution in solutions.list_(connection, owner):
            if solution.usable:
                found |= solution_tools(solution)
        return found


def names(connection: Connection, owner: str, family: str) -> list[str]:
    """Give the names that an argument may have: solutions with documents, or weights that were trained here."""
    if family == KNOWLEDGE:
        return [one.name for one in solutions.list_(connection, owner) if one.kind == KNOWLEDGE]
    return versions.names(connection, owner, family)


def solution_tools(solution: Solution) -> dict[str, ToolSpec]:
    """Give the specs of a solution's approved tools; one that cannot be offered is left out and logged."""
    declaration = DECLARATION.validate_python(solution.declaration)
    if declaration.kind not in {"mcp", "openapi"}:
        return {}
    found = {}
    for stored in solution.approved or ():
        try:
            spec = arguments.spec(solution.name, OfferedTool.from_json(stored), declaration)
        except (SolutionError, ValueError) as error:
            log.warning("tool %s of solution %s is left out: %s", stored.get("name"), solution.name, error)
            continue
        found[spec.name] = spec
    return found
