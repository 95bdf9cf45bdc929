"""Brings a database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from store.database import Database

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
MIGRATION_LOCK = 0x61746C72  # PostgreSQL advisory lock: one process migrates, others wait


def config() -> Config:
    """Give Alembic's configuration, independent of the working directory."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made


def migrate(database: Database, to: str = "head") -> None:
    """Run the migrations that are missing, up to a revision; safe to call from several processes at once."""

    def change(connection: Connection) -> None:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, to)

    database.transact(change)


def head() -> str:
    """Give the number of the newest schema that this version knows."""
    return max(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """Give the number of the schema that a database has; None: it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def is_current(database: Database) -> bool:
    """Say whether the database has the newest schema."""
    with database.read() as connection:
        return revision(connection) == head()
