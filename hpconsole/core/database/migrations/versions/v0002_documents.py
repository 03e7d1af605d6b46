"""Documents; what is known of a migration before and measured after it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_documents"),
    )
    for name in ("facts", "statistics"):
        op.add_column("migrations", sa.Column(name, sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Back to the first revision; documents are lost."""
    for name in ("facts", "statistics"):
        op.drop_column("migrations", name)
    op.drop_table("documents")
