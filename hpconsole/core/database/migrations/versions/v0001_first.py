"""Hosts, settings, policies, and the journal of migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hosts"),
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
    op.create_table(
        "policies",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_policies"),
    )
    _create_journal()


def _create_journal() -> None:
    op.create_table(
        "migrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("migration_id", sa.String(), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("vm_uuid", sa.String(), nullable=False),
        sa.Column("vm_name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_uri", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("destination_uri", sa.Text(), nullable=False),
        sa.Column("is_destination_chosen", sa.Boolean(), nullable=False),
        sa.Column("placement", sa.JSON(), nullable=False),
        sa.Column("console_id", sa.String(), nullable=False),
        sa.Column("console_machine", sa.Text(), nullable=False),
        sa.Column("console_pid", sa.Integer(), nullable=False),
        sa.Column("console_started", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("updated_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migrations"),
        sa.UniqueConstraint("migration_id", name="uq_migrations_migration_id"),
    )
    op.create_index("ix_migrations_phase", "migrations", ["phase"])
    op.create_table(
        "migration_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("migration_id", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migration_steps"),
        sa.ForeignKeyConstraint(
            ["migration_id"],
            ["migrations.migration_id"],
            name="fk_migration_steps_migration_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_migration_steps_migration_id", "migration_steps", ["migration_id"])


def downgrade() -> None:
    """Back to an empty database."""
    for table in ("migration_steps", "migrations", "policies", "settings", "hosts"):
        op.drop_table(table)
