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


def migrate(database: Database) -> None:
    """Run the migrations that are missing; safe to call from several processes at once."""

    def change(connection: Connection) -> None:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "head")

    database.transact(change)


def is_current(database: Database) -> bool:
    """Say whether the database has the newest schema."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(config()).get_current_head()
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == head
