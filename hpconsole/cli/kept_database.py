"""The database that remembers what this user decides, for commands that ask no host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpconsole.app import DATABASE_NAME, default_data_folder
from hpconsole.cli.options import Options

if TYPE_CHECKING:
    from hpconsole.core.database.database import Database


@contextmanager
def kept_database(options: Options) -> Iterator[Database | None]:
    """The database, closed again afterwards; None: the demo, which remembers nothing unless it has a data folder.

    Raises:
        StorageError: it cannot be opened.
    """
    if options.demo_seed is not None and options.data is None:
        yield None
        return
    from hpconsole.core.database.database import Database

    database = Database.open((options.data or default_data_folder()) / DATABASE_NAME)
    try:
        yield database
    finally:
        database.close()
