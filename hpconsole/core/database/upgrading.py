"""Brings a database to the newest revision. Alembic is imported only when there is something to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from hpconsole.core.database.tables import metadata
from hpconsole.core.errors import StorageError

# The newest of migrations/versions; a test compares. Known here so that an ordinary start need not import Alembic.
HEAD = "0002"
KNOWN = ("0001", "0002")

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def present_revision(connection: Connection) -> str | None:
    """The revision this database is at; None for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, path: Path) -> None:
    """Run what is missing, in one transaction of the caller.

    Raises:
        StorageError: the database is newer than this program.
    """
    present = present_revision(connection)
    if present == HEAD:
        return
    if present is None and not inspect(connection).get_table_names():
        _make_new(connection)
        return
    if present is not None and present not in KNOWN:
        raise StorageError(
            f"{path} was written by a newer hpconsole (revision {present}). It is left untouched; hosts, settings and "
            "the journal are not available in this run. Use the newer one, or set HPCONSOLE_DATA to another folder.",
            subject=str(path),
        )
    run(connection, HEAD)


def _make_new(connection: Connection) -> None:
    """A new database as the migrations would make it (a test compares), without loading Alembic for a first start."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def run(connection: Connection, revision: str) -> None:
    """Migrate to `revision`, up or down (`base` = nothing)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    is_up = revision != "base"
    (command.upgrade if is_up else command.downgrade)(config, revision)
