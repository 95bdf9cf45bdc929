"""vectors get a digest: equal vectors are one entry of the index."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vectors", sa.Column("digest", sa.String(length=32), nullable=True))
    vectors = sa.table(
        "vectors",
        sa.column("asset_id", sa.String),
        sa.column("space", sa.String),
        sa.column("content", sa.LargeBinary),
        sa.column("digest", sa.String),
        sa.column("indexed_at", sa.Double),
    )
    connection = op.get_bind()
    for asset_id, space in connection.execute(sa.select(vectors.c.asset_id, vectors.c.space)).all():
        row = (vectors.c.asset_id == asset_id) & (vectors.c.space == space)
        content = connection.execute(sa.select(vectors.c.content).where(row)).scalar_one()
        digest = hashlib.sha256(content).hexdigest()[:32]
        connection.execute(sa.update(vectors).where(row).values(digest=digest))
    # What the index has is named otherwise now; the next probe sees it and builds it again.
    with op.batch_alter_table("vectors") as batch_op:
        batch_op.alter_column("digest", existing_type=sa.String(length=32), nullable=False)
        batch_op.create_index(batch_op.f("ix_vectors_owner_space_digest"), ["owner", "space", "digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("vectors") as batch_op:
        batch_op.drop_index(batch_op.f("ix_vectors_owner_space_digest"))
        batch_op.drop_column("digest")
