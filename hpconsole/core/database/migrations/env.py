"""What Alembic runs: the migrations, on the connection that `upgrading.run` hands over. Never used offline."""

from __future__ import annotations

from alembic import context

from hpconsole.core.database.tables import metadata


def run() -> None:
    """Run the migrations Alembic was asked for, in one transaction."""
    connection = context.config.attributes["connection"]
    # SQLite changes tables only by copying them: batch mode.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # only inside Alembic: the test run's doctest collection imports every module
    run()
