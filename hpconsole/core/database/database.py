"""The console's own database: one SQLite file for hosts, settings, policies and the journal of migrations.

Every write is durable when its call returns (synchronous=FULL): the journal is what a next start relies on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpconsole.core.database.journal import DiskJournal
from hpconsole.core.database.repositories import (
    DocumentRepository,
    HostRepository,
    PolicyRepository,
    SettingRepository,
)
from hpconsole.core.database.upgrading import upgrade
from hpconsole.core.errors import StorageError

BUSY_TIMEOUT_S = 5.0


class Database:
    """An open, up-to-date database.

    Threads: any. Each operation has a connection and a transaction of its own.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._is_closed = False
        # Connections are not kept: operations are rare, and a closed database leaves no file handle behind.
        url = URL.create("sqlite", database=str(path))  # not as text: a path may hold ? or %
        self._engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": busy_timeout_s})
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)
        self.hosts = HostRepository(self.transaction)
        self.settings = SettingRepository(self.transaction)
        self.policies = PolicyRepository(self.transaction)
        self.documents = DocumentRepository(self.transaction)
        self.journal = DiskJournal(self.transaction)

    @classmethod
    def open(cls, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
        """Open the file, made and upgraded as needed.

        Raises:
            StorageError: it is damaged, read-only, locked, or newer than this program; nothing in it was changed.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {path.parent} for hpconsole's data cannot be made ({error.strerror}). Hosts and settings "
                "of this run will not be remembered. Make it writable, or set HPCONSOLE_DATA to another folder.",
                detail=str(error),
                subject=str(path),
            ) from error
        database = cls(path, busy_timeout_s=busy_timeout_s)
        with database.transaction() as connection:
            upgrade(connection, path)
        return database

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error.

        Raises:
            StorageError: the database cannot be read or written.
        """
        if self._is_closed:
            raise StorageError("The console's database is closed.", subject=str(self.path))
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StorageError(_sentence(self.path, error), detail=str(error), subject=str(self.path)) from error

    def close(self) -> None:
        """No further operation. Idempotent; those under way end normally."""
        self._is_closed = True
        self._engine.dispose()


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transactions begin late and not before DDL: ours are begun by `_begin`.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE: two consoles take turns; a transaction that read first could not become a writer later.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _sentence(path: Path, error: SQLAlchemyError) -> str:
    """What is wrong and what to do, by SQLite's own error code."""
    if not isinstance(error, DBAPIError):
        return f"A value cannot be kept in {path}; nothing was written ({error})."
    original = error.orig
    code = getattr(original, "sqlite_errorcode", 0) & 0xFF
    text = str(original)
    rest = "hpconsole works without it: hosts, settings and the journal of this run will not be remembered."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{path} is damaged ({text}). {rest} Move the file away to begin with a new one, or bring back a copy."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is kept locked by another program. {rest} Close that program and start again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return f"{path} cannot be written. {rest} Make the file and its folder writable."
    if code == sqlite3.SQLITE_CANTOPEN:
        return f"{path} cannot be opened. {rest} Make sure that it is a file, and its folder writable."
    if code == sqlite3.SQLITE_FULL:
        return f"The disk that holds {path} is full. {rest} Make room on it."
    return f"{path} cannot be used ({text}). {rest}"
