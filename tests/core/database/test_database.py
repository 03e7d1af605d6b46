"""The console's database: made, upgraded, and every way in which it can be unusable."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hpconsole.core.database import upgrading
from hpconsole.core.database.database import Database
from hpconsole.core.database.tables import metadata
from hpconsole.core.errors import StorageError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data?with 100%" / "hpconsole.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database.open(path)
    yield database
    database.close()


def schema_of(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Columns and indexes of every table, as SQLite itself tells them."""
    rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all()
    tables = sorted(str(row[0]) for row in rows if not str(row[0]).startswith("sqlite_"))
    return {
        table: sorted(
            (what, *map(str, tuple(row)[{"table_xinfo": 1, "index_list": 2, "foreign_key_list": 0}[what] :]))
            for what in ("table_xinfo", "index_list", "foreign_key_list")
            for row in connection.exec_driver_sql(f"PRAGMA {what}({table})").all()
        )
        for table in tables
    }


def test_a_new_database_is_what_the_migrations_make(database: Database, tmp_path: Path) -> None:
    migrated = Database(tmp_path / "migrated.sqlite3")
    with migrated.transaction() as connection:
        upgrading.run(connection, upgrading.HEAD)
        expected = schema_of(connection)
    migrated.close()
    with database.transaction() as connection:
        assert schema_of(connection) == expected
        assert upgrading.present_revision(connection) == upgrading.HEAD


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    with database.transaction() as connection:
        upgrading.run(connection, "base")
        upgrading.run(connection, upgrading.HEAD)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_go_down_and_up_again(database: Database) -> None:
    with database.transaction() as connection:
        upgrading.run(connection, "base")
    with database.transaction() as connection:
        assert (
            connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
            ).all()
            == []
        )
        upgrading.upgrade(connection, database.path)
    database.hosts.add("a", "qemu:///system")
    assert [host.name for host in database.hosts.all()] == ["a"]


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    scripts = ScriptDirectory(str(upgrading.MIGRATIONS))
    assert scripts.get_current_head() == upgrading.HEAD
    assert {script.revision for script in scripts.walk_revisions()} == set(upgrading.KNOWN)


def test_what_was_written_is_there_at_the_next_start(path: Path) -> None:
    first = Database.open(path)
    first.settings.set("window", {"width": 800})
    first.close()
    again = Database.open(path)
    assert again.settings.get("window") == {"width": 800}
    again.close()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_new_or_up_to_date_database_opens_without_alembic(path: Path, is_new: bool) -> None:
    if not is_new:
        Database.open(path).close()
    code = (
        "import sys; from pathlib import Path; from hpconsole.core.database.database import Database\n"
        f"Database.open(Path({str(path)!r})).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_the_journal_survives_a_power_cut_by_its_settings(database: Database) -> None:
    with database.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_damaged_file_is_a_sentence_and_stays_untouched(tmp_path: Path) -> None:
    path = tmp_path / "hpconsole.sqlite3"
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 40)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"is damaged .* Move the file away") as caught:
        Database.open(path)
    assert str(path) in caught.value.sentence
    assert path.read_bytes() == before


def test_a_page_damaged_later_is_a_sentence_too(path: Path) -> None:
    database = Database.open(path)
    for number in range(300):
        database.settings.set(f"key-{number}", "x" * 100)
    with database.transaction() as connection:
        connection.exec_driver_sql("SELECT 1")
    database.close()
    sqlite = sqlite3.connect(path)
    sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged"):
        Database.open(path).settings.get("key-1")


def test_a_newer_database_is_left_untouched(path: Path) -> None:
    Database.open(path).close()
    sqlite = sqlite3.connect(path)
    sqlite.execute("UPDATE alembic_version SET version_num = '9999'")
    sqlite.commit()
    with pytest.raises(StorageError, match=r"newer hpconsole \(revision 9999\)"):
        Database.open(path)
    assert sqlite.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    sqlite.close()


def test_a_locked_database_is_a_sentence(path: Path) -> None:
    Database.open(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="locked by another program"):
        Database.open(path, busy_timeout_s=0.05)
    other.execute("ROLLBACK")
    other.close()
    Database.open(path, busy_timeout_s=0.05).close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        Database.open(tmp_path / "file" / "data" / "hpconsole.sqlite3")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "hpconsole.sqlite3").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        Database.open(tmp_path / "hpconsole.sqlite3")


@pytest.mark.parametrize("what", ["folder", "file"])
def test_read_only(what: str, tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="hpconsole-"))
    try:
        file = place / "hpconsole.sqlite3"
        if what == "file":
            Database.open(file).close()
            file.chmod(0o444)
        place.chmod(0o555)
        code = (
            "import os, sys; from pathlib import Path; from hpconsole.core.database.database import Database\n"
            "from hpconsole.core.errors import StorageError\n"
            "Database.open(Path(sys.argv[1]) / 'a').close()  # imports what is imported late\n"
            "os.geteuid() or os.setuid(65534)  # root may write everywhere\n"
            "try:\n    Database.open(Path(sys.argv[2]))\n"
            "except StorageError as error:\n    print(error.sentence)"
        )
        arguments = [sys.executable, "-c", code, str(tmp_path), str(file)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT)
        assert "cannot be" in done.stdout
        assert "works without it" in done.stdout
        assert "writable" in done.stdout
    finally:
        place.chmod(0o755)
        shutil.rmtree(place)


def test_two_consoles_write_at_the_same_time(path: Path) -> None:
    one, two = Database.open(path), Database.open(path)
    problems: list[StorageError] = []

    def write(database: Database, name: str) -> None:
        try:
            for number in range(25):
                database.settings.set(f"{name}-{number}", number)
        except StorageError as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=pair) for pair in ((one, "one"), (two, "two"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [one.settings.get(f"two-{number}") for number in range(25)] == list(range(25))
    one.close()
    two.close()


def test_a_closed_database_says_so(database: Database) -> None:
    database.close()
    with pytest.raises(StorageError, match="closed"):
        database.hosts.all()


def test_rows_do_not_leave_the_package_and_nothing_loads_sqlalchemy_by_itself() -> None:
    code = (
        "import sys, hpconsole.core.database, hpconsole.core.database.values, hpconsole.core.execution.journal;"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
