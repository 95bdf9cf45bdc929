"""Runs migrations on the connection that the caller passes, or on ATELIER_DATABASE_URL."""

from alembic import context
from sqlalchemy import Connection

from store.database import Database
from store.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("no database named: use `atelier up`, which migrates, or pass -x and sqlalchemy.url")
    Database(url).transact(_run)
