"""The tables of the console's database, as the newest migration leaves them. Rows never leave this package.

Times are ISO 8601 texts in UTC, so that they sort and can be read with any SQLite tool.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

# Named constraints: SQLite can only change a table by copying it, and Alembic finds them by name.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String, primary_key=True),
    Column("uri", Text, nullable=False),
    Column("position", Integer, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("name", String, primary_key=True),
    Column("definition", JSON, nullable=False),
)

# Values that are only ever read and written whole (templates, affinity groups, drain plans ...), as JSON.
documents = Table(
    "documents",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("changed_at", String, nullable=False),
)

migrations = Table(
    "migrations",
    metadata,
    Column("id", Integer, primary_key=True),  # the order in which they were begun
    Column("migration_id", String, nullable=False, unique=True),
    Column("plan_id", String, nullable=False),
    Column("step_index", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("vm_uuid", String, nullable=False),
    Column("vm_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("destination_uri", Text, nullable=False),
    Column("is_destination_chosen", Boolean, nullable=False),
    Column("placement", JSON, nullable=False),
    Column("console_id", String, nullable=False),
    Column("console_machine", Text, nullable=False),
    Column("console_pid", Integer, nullable=False),
    Column("console_started", Text, nullable=False),
    Column("phase", String, nullable=False),
    Column("outcome", String),
    Column("sentence", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("facts", JSON, nullable=False, server_default="{}"),  # known before it began: what was running, the forecast
    Column(
        "statistics", JSON, nullable=False, server_default="{}"
    ),  # what libvirt measured, to set beside the forecast
    Index("ix_migrations_phase", "phase"),
)

migration_steps = Table(
    "migration_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("migration_id", String, ForeignKey("migrations.migration_id", ondelete="CASCADE"), nullable=False),
    Column("at", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("sentence", Text, nullable=False),
    Index("ix_migration_steps_migration_id", "migration_id"),
)
