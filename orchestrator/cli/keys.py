"""`atelier keys`: who may ask, as whom, and for what.

Here it works on the database itself, so that the first key can be made before an API may start; against a studio
elsewhere (ATELIER_URL) it asks that studio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from orchestrator.cli import connect
from orchestrator.cli.output import Json, print_json, print_table, settings
from orchestrator.cli.tracking import when
from orchestrator.errors import BadRequest, Conflict, NotFound, StudioNotReady

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from orchestrator.settings import Settings
    from store.database import Database

app = typer.Typer(help="Who may ask, as whom, and for what.", no_args_is_help=True)
SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LOCAL = "local"
LIMIT = "runs_per_day, steps_per_day, open_runs or bytes_per_day, as runs_per_day=100; may be given again."


class Cabinet(Protocol):
    """Where keys are kept."""

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make a key, and give it with the key itself."""
        ...

    def rows(self) -> list[dict[str, Any]]:
        """Give all keys, newest first."""
        ...

    def limit(self, key_id: str, limits: dict[str, int]) -> dict[str, Any]:
        """Replace the limits of a key, and give it."""
        ...

    def revoke(self, key_id: str) -> None:
        """Take a key out of use."""
        ...


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, in your words.")],
    owner: Annotated[str | None, typer.Option(help="Whose things it opens; none: your own.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="read, make or admin; may be given again.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="How long it is valid: 12h, 90d, 8w; none: until revoked.")
    ] = None,
    limit: Annotated[list[str] | None, typer.Option("--limit", help=LIMIT)] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it; it cannot be shown again. Without --scope it may read and make."""
    wanted: dict[str, Any] = {"limits": _limits(limit)} if limit else {}  # a studio of before knows none
    wanted |= {"name": name, "owner": owner, "scopes": scope or ["read", "make"], "expires_s": _seconds(expires)}
    with _cabinet(settings()) as cabinet:
        made = cabinet.create(wanted)
    if as_json:
        print_json(made)
        return
    connect.note(f"{made['id']}: {made['owner']!r} may {', '.join(made['scopes'])}. The key is shown this once:")
    print(made["key"])


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List everybody's keys, newest first; none is shown whole."""
    with _cabinet(settings()) as cabinet:
        rows = cabinet.rows()
    if as_json:
        print_json(rows)
        return
    print_table(
        ("key", "name", "owner", "scopes", "begins with", "last used", "state", "limits"),
        [
            (
                row["id"],
                row["name"],
                row["owner"],
                " ".join(row["scopes"]),
                row["hint"],
                _time(row["used_at"]),
                _state(row),
                "" if not row.get("limits") else _said(row["limits"]),
            )
            for row in rows
        ],
    )


@app.command()
def limit(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id (key_…) or its name; never the key itself.")],
    limits: Annotated[list[str] | None, typer.Argument(metavar="[NAME=NUMBER]...", help=LIMIT)] = None,
    as_json: Json = False,
) -> None:
    """Change how much may be asked with a key; what is not named has no limit from then on."""
    wanted = _limits(limits or [])
    with _cabinet(settings()) as cabinet:
        changed = cabinet.limit(_named(cabinet.rows(), key)["id"], wanted)
    if as_json:
        print_json(changed)
    else:
        print(f"{changed['id']} ({changed['name']}): {_said(changed['limits'])}")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id (key_…) or its name; never the key itself.")],
    as_json: Json = False,
) -> None:
    """Take a key out of use; within seconds nothing takes it any more."""
    with _cabinet(settings()) as cabinet:
        found = _named(cabinet.rows(), key)
        cabinet.revoke(found["id"])
    if as_json:
        print_json({"id": found["id"], "name": found["name"]})
    else:
        print(f"{found['id']} ({found['name']}) is revoked.")


def _named(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    found = [row for row in rows if row["revoked_at"] is None and key in {row["id"], row["name"]}]
    if not found:
        raise NotFound(f"there is no key {key!r} that is in use; `atelier keys list` shows them")
    if len(found) > 1:
        raise Conflict(f"{len(found)} keys are called {key!r}; say which: {', '.join(row['id'] for row in found)}")
    return found[0]


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if match is None:
        raise BadRequest(f"--expires: {text!r} is no time; write 12h, 90d or 8w")
    return int(match[1]) * float(SECONDS[match[2]])


def _limits(given: list[str]) -> dict[str, int]:
    found = {}
    for one in given:
        match = re.fullmatch(r"([a-z_]+)=([1-9]\d{0,14})", one)
        if match is None:
            raise BadRequest(f"--limit: {one!r} is no limit; write runs_per_day=100")
        found[match[1]] = int(match[2])
    return found


def _said(limits: dict[str, int]) -> str:
    return " ".join(f"{name}={number}" for name, number in limits.items()) or "no limits"


def _time(at: float | None) -> str:
    return "" if at is None else when(at)


def _state(row: dict[str, Any]) -> str:
    import time

    if row["revoked_at"] is not None:
        return "revoked"
    if row["expires_at"] is None:
        return "valid"
    return ("valid until " if time.time() < row["expires_at"] else "expired ") + when(row["expires_at"])


@contextmanager
def _cabinet(given: Settings) -> Iterator[Cabinet]:
    if given.url is not None:
        with connect.studio(given) as client:
            yield _There(client)
        return
    from sqlalchemy.exc import SQLAlchemyError

    from orchestrator.studio import migrate
    from store.database import Database

    if given.database_url.startswith("sqlite"):
        given.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        migrate(given.database_url)
    database = Database(given.database_url)
    try:
        yield _Here(database)
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StudioNotReady(f"the database cannot be used: {why}; `atelier migrate` brings it up to date") from error
    finally:
        database.close()


@contextmanager
def _refusing() -> Iterator[None]:
    """Say in a line what does not fit."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise BadRequest(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


class _There:
    """Keys of a studio elsewhere."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return self._client.post("/v1/keys", wanted)

    def rows(self) -> list[dict[str, Any]]:
        return self._client.pages("/v1/keys", 10_000)

    def limit(self, key_id: str, limits: dict[str, int]) -> dict[str, Any]:
        return self._client.patch(f"/v1/keys/{key_id}", {"limits": limits})

    def revoke(self, key_id: str) -> None:
        self._client.delete(f"/v1/keys/{key_id}")


class _Here:
    """Keys in the database that the settings name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        from orchestrator.api import keys as routes

        with _refusing():
            new = routes.NewKey(**wanted)
        return routes.make(self._database, new, owner=new.owner or LOCAL)

    def rows(self) -> list[dict[str, Any]]:
        from orchestrator.api.keys import view
        from store import keys

        with self._database.read() as connection:
            return [view(key) for key in keys.list_(connection, limit=10_000)]

    def limit(self, key_id: str, limits: dict[str, int]) -> dict[str, Any]:
        from orchestrator.api import keys as routes

        with _refusing():
            wanted = routes.Limits.model_validate(limits)
        return routes.set_limits(self._database, key_id, wanted)

    def revoke(self, key_id: str) -> None:
        from orchestrator.api import keys as routes

        routes.take_back(self._database, key_id)
