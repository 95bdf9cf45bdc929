"""`atelier backup`, `restore`, `migrate-store` and `blobs`: what lasts, in another place."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.output import Json, print_json, print_table, settings
from orchestrator.errors import SettingsError, StudioError, StudioHeld, StudioNotReady

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from store.blobs import Blobs
    from store.database import Database

blobs = typer.Typer(help="The bytes of assets.", no_args_is_help=True)
Place = Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or any fsspec URL such as s3://bucket/backups.")]
Name = Annotated[str | None, typer.Option(help="One of the backups there; without it the newest.")]
TELL_S = 2.0
DAY_S = 86400.0


def backup(
    place: Place,
    check: Annotated[bool, typer.Option("--check", help="Make none; read one there and check every byte.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Make none; list those there.")] = False,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Back up rows and blobs while the studio works.

    What a backup at that place has already is not copied again.
    """
    from importlib.metadata import version

    from store import archive

    with _said():
        if listed:
            _list(place, as_json)
            return
        if check:
            _check(place, name, as_json)
            return
        began = time.monotonic()
        with _house(settings()) as (database, store):
            made, copied = archive.backup(database, store, place, version=version("atelier"), tell=_Teller())
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        told = {"rows": made.rows, "blobs": made.blobs, "new_blobs": copied.new, "new_bytes": copied.size_bytes}
        print_json({"name": made.name, **told, "seconds": seconds, "lost": made.faults})
    else:
        print(
            f"Backup {made.name}: {made.rows} rows and {made.blobs} blobs, of which {copied.new} were new "
            f"({copied.size_bytes / 1e6:.1f} MB), in {seconds} s."
        )
        for why in made.faults.values():
            print(f"lost before this backup: {why}")


def restore(place: Place, name: Name = None, as_json: Json = False) -> None:
    """Bring a backup into a studio that is empty."""
    from store import archive

    given = settings()
    with _said(), _held(given), _house(given, new=True) as (database, store):
        made = archive.restore(database, store, place, name, _Teller())
    if as_json:
        print_json({"name": made.name, "rows": made.rows, "blobs": made.blobs, "lost": made.faults})
    else:
        print(f"Backup {made.name} is back: {made.rows} rows and {made.blobs} blobs. `atelier up` goes on with it.")


def migrate_store(
    to_database: Annotated[str, typer.Option(help="An empty database: postgresql+psycopg://… or sqlite:///…")],
    to_blobs: Annotated[str, typer.Option(help="A blob store: s3://bucket/folder, a folder, or any fsspec URL.")],
    read_back: Annotated[bool, typer.Option(help="Read every blob again where it was brought.")] = True,
    as_json: Json = False,
) -> None:
    """Copy rows and blobs to other stores, and verify.

    The studio must not run. A move that breaks off is begun again with the same words and goes on.
    """
    from store import moving
    from store.blobs import Blobs
    from store.database import Database

    _without_password(to_database)
    given = settings()
    began = time.monotonic()
    with _said(), _held(given), _house(given) as (database, store):
        _nobody_works(database)
        to = moving.House(Database(to_database), Blobs(to_blobs))
        with contextlib.closing(to.database):
            moved = moving.move(moving.House(database, store), to, _Teller(), read_back=read_back)
    count, seconds = sum(moved.rows.values()), round(time.monotonic() - began, 1)
    if as_json:
        told = {"rows": moved.rows, "blobs": moved.blobs.named, "new_blobs": moved.blobs.new, "seconds": seconds}
        print_json({**told, "was_there": moved.before})
        return
    print(
        f"{count} rows are there{' already' if moved.before else ''}, and {moved.blobs.named} blobs, "
        f"{moved.blobs.new} of them new; counts and digests agree. {seconds} s.\n"
        f"ATELIER_DATABASE_URL={to_database}\nATELIER_BLOBS_URL={to_blobs}"
    )


@blobs.command()
def sweep(
    older_than: Annotated[str, typer.Option(help="Only what was written so long ago: 36h, 7d.")] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and take nothing away.")] = False,
    as_json: Json = False,
) -> None:
    """Take away the blobs that nothing names any more; nobody may work meanwhile."""
    from store import naming, rows

    age_s, given = _age_s(older_than), settings()
    with _said(), contextlib.ExitStack() as held:
        if not dry_run:
            held.enter_context(_held(given))
        database, store = held.enter_context(_house(given))
        if not dry_run:
            _nobody_works(database)
        with rows.snapshot(database) as connection:
            found = list(naming.unnamed(connection, store, time.time() - age_s))
        for sha256 in [] if dry_run else found:
            store.remove(sha256)
    if as_json:
        print_json({"unnamed": found, "removed": 0 if dry_run else len(found)})
    else:
        print(f"{len(found)} blobs are named by nothing{'' if dry_run else ' and were taken away'}.")


class _Teller:
    """Says how far something is, now and then, on the error stream."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, what: str, done: int) -> None:
        from orchestrator.cli.connect import note

        if time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            note(f"{done} {what}")


def _list(place: str, as_json: bool) -> None:
    from store.archive import Archive

    there = Archive(place)
    found = [there.manifest(name) for name in there.names()]
    if as_json:
        print_json([{"name": one.name, "rows": one.rows, "blobs": one.blobs, "version": one.version} for one in found])
        return
    print_table(("backup", "rows", "blobs", "version"), [(one.name, one.rows, one.blobs, one.version) for one in found])


def _check(place: str, name: str | None, as_json: bool) -> None:
    from store import archive

    made, wrong = archive.check(place, name, _Teller())
    if as_json:
        print_json({"name": made.name, "whole": not wrong, "faults": wrong})
    else:
        print(f"Backup {made.name} is {'whole' if not wrong else 'damaged'}: {made.rows} rows, {made.blobs} blobs.")
        for why in wrong.values():
            print(why)
    if wrong:
        raise typer.Exit(1)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Turn what the store raises into one line for the person."""
    from sqlalchemy.exc import OperationalError

    from store.archive import ArchiveError
    from store.blobs import BlobError, BlobsDown

    try:
        yield
    except (ArchiveError, BlobError) as error:
        raise StudioError(str(error)) from error
    except (BlobsDown, OSError) as error:
        raise StudioNotReady(f"{error}; begin again later, and it goes on") from error
    except OperationalError as error:
        raise StudioNotReady(f"the database does not answer: {error.orig}") from error


@contextlib.contextmanager
def _house(given: Settings, *, new: bool = False) -> Iterator[tuple[Database, Blobs]]:
    from store.blobs import Blobs
    from store.database import Database

    file = given.database_url.removeprefix("sqlite:///")
    if not new and file != given.database_url and not Path(file).is_file():
        raise StudioError(f"there is no studio: {file!r} does not exist; set ATELIER_HOME or ATELIER_DATABASE_URL")
    with contextlib.closing(Database(given.database_url)) as database:
        yield database, Blobs(given.blobs_url)


@contextlib.contextmanager
def _held(given: Settings) -> Iterator[None]:
    """Keep others from starting a studio on the data folder meanwhile."""
    from orchestrator import home

    with home.hold(given.home):
        yield


def _nobody_works(database: Database) -> None:
    from store import presence, schema

    with database.read() as connection:
        fresh: list[dict[str, Any]] = presence.fresh(connection) if schema.revision(connection) == schema.head() else []
    if fresh:
        names = ", ".join(str(worker["name"]) for worker in fresh[:3])
        raise StudioHeld(f"workers are at work on this database ({names}); end them and the API first")


def _without_password(url: str) -> None:
    if re.match(r"[^/]+://[^/@]*:[^/@]+@", url):
        raise SettingsError(
            "a password among the arguments can be read by everybody on this machine; leave it out of --to-database "
            "and give it by PGPASSWORD or ~/.pgpass"
        )


def _age_s(text: str) -> float:
    match = re.fullmatch(r"(\d+)([hd])", text.strip())
    if match is None:
        raise SettingsError(f"--older-than {text!r} is no age; write 36h or 7d")
    return int(match[1]) * (DAY_S if match[2] == "d" else 3600.0)
