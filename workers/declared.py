"""Writes down the solutions that the file of settings declares."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from store import solutions
from store.database import Database
from store.runs import WrongState

log = logging.getLogger(__name__)


def sync(database: Database, declared: Mapping[str, Any]) -> None:
    """Make the rows of source "file" those that are declared; one that is no longer named is put aside.

    Args:
        declared: declarations by name. A name that the API has taken is logged and left out.
    """

    def change(connection: Connection) -> None:
        for known in solutions.list_(connection):
            if known.source == "file" and known.name not in declared:
                solutions.put_aside(connection, known.name, now=time.time())
        for name, declaration in declared.items():
            try:
                solutions.declare(connection, name, declaration.model_dump(mode="json"), source="file", now=time.time())
            except WrongState as error:
                log.warning("%s", error)

    database.transact(change)
