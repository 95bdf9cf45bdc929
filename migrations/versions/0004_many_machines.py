"""many machines: keys, what a worker can do, the trace that a run belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OF_WORKERS = (
    ("host", sa.String(length=255)),
    ("version", sa.String(length=40)),
    ("device", sa.JSON()),
    ("tools", sa.JSON()),
    ("families", sa.JSON()),
    ("slots", sa.Integer()),
    ("busy", sa.Integer()),
    ("draining", sa.Boolean()),
)
OPEN_RUNS = "status IN ('pending', 'planning', 'waiting_approval', 'in_progress', 'cancelling')"

# Of steps: (name, columns, the rows that it holds).
INDEXES = (
    ("ix_steps_lines", ["queue", "tool", "priority", "owner", "available_at", "position"], "status = 'queued'"),
    (
        "ix_steps_siblings",
        ["queue", "batch_key", "priority", "available_at", "position"],
        "status = 'queued' AND attempts = 0",
    ),
    ("ix_steps_leases", ["lease_until"], "status = 'in_progress'"),
    ("ix_steps_owner_recipe_hash_ended_at", ["owner", "recipe_hash", "ended_at"], None),
)
FORMER = (
    ("ix_steps_status_queue_priority_available_at", ["status", "queue", "priority", "available_at"]),
    ("ix_steps_owner_recipe_hash", ["owner", "recipe_hash"]),
)


def upgrade() -> None:
    # First what takes long and lets others read; what locks out readers too comes last, and is quick.
    for name, columns, rows in INDEXES:
        where = None if rows is None else sa.text(rows)
        op.create_index(name, "steps", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_runs_owner_id", "runs", ["owner", "id"], unique=False)
    where = sa.text(OPEN_RUNS)
    op.create_index("ix_runs_open", "runs", ["status"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_keys_sha256")),
    )
    op.create_index(op.f("ix_keys_owner_created_at"), "keys", ["owner", "created_at"], unique=False)
    for name, type_ in OF_WORKERS:
        op.add_column("workers", sa.Column(name, type_, nullable=True))
    op.add_column("runs", sa.Column("traceparent", sa.String(length=55), nullable=True))
    for name, _ in FORMER:
        op.drop_index(name, table_name="steps")
    op.drop_index("ix_runs_owner_created_at", table_name="runs")


def downgrade() -> None:
    op.create_index("ix_runs_owner_created_at", "runs", ["owner", "created_at"], unique=False)
    op.drop_index("ix_runs_owner_id", table_name="runs")
    for name, columns in FORMER:
        op.create_index(name, "steps", columns, unique=False)
    for name, _, _ in INDEXES:
        op.drop_index(name, table_name="steps")
    op.drop_index("ix_runs_open", table_name="runs")
    op.drop_column("runs", "traceparent")
    for name, _ in reversed(OF_WORKERS):
        op.drop_column("workers", name)
    op.drop_index(op.f("ix_keys_owner_created_at"), table_name="keys")
    op.drop_table("keys")
