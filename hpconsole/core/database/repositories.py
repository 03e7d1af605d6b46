"""Hosts, settings, policies and documents as frozen values in, frozen values out. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from hpconsole.core.database import tables
from hpconsole.core.database.values import ConfiguredHost
from hpconsole.core.errors import StorageError

Transaction = Callable[[], AbstractContextManager[Connection]]


class HostRepository:
    """The hosts the user added, in the user's order.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> tuple[ConfiguredHost, ...]:
        """Every host, in order."""
        table = tables.hosts.c
        with self._transaction() as connection:
            rows = connection.execute(
                select(table.name, table.uri, table.position).order_by(table.position, table.name)
            )
            return tuple(ConfiguredHost(name, uri, position) for name, uri, position in rows)

    def add(self, name: str, uri: str) -> ConfiguredHost:
        """Add a host at the end; one of this name gets the new URI and keeps its place."""
        table = tables.hosts
        with self._transaction() as connection:
            last = connection.execute(select(func.max(table.c.position))).scalar()
            statement = insert(table).values(name=name, uri=uri, position=0 if last is None else last + 1)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"uri": uri}))
            position = connection.execute(select(table.c.position).where(table.c.name == name)).scalar_one()
            return ConfiguredHost(name, uri, position)

    def remove(self, name: str) -> None:
        """Forget a host; nothing happens if there is none of this name."""
        with self._transaction() as connection:
            connection.execute(delete(tables.hosts).where(tables.hosts.c.name == name))

    def reorder(self, names: tuple[str, ...]) -> None:
        """Put the hosts in this order; those not named keep their positions behind."""
        table = tables.hosts
        with self._transaction() as connection:
            for position, name in enumerate(names):
                connection.execute(update(table).where(table.c.name == name).values(position=position))
            others = table.c.name.not_in(names)
            connection.execute(update(table).where(others).values(position=table.c.position + len(names)))


class SettingRepository:
    """Settings as JSON values by key. What a key means is its user's business.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, key: str, default: Any = None) -> Any:
        """The value of this key, or `default`. Read it as hostile: anybody may have edited the file."""
        table = tables.settings.c
        with self._transaction() as connection:
            row = connection.execute(select(table.value).where(table.key == key)).one_or_none()
            return default if row is None else row[0]

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value.

        Raises:
            StorageError: it is no JSON value.
        """
        with self._transaction() as connection:
            statement = insert(tables.settings).values(key=key, value=value)
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    def remove(self, key: str) -> None:
        """Forget a key."""
        with self._transaction() as connection:
            connection.execute(delete(tables.settings).where(tables.settings.c.key == key))


class PolicyRepository:
    """The user's own scheduling policies, as the JSON their editor writes.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        """Every policy by name."""
        table = tables.policies.c
        with self._transaction() as connection:
            rows = connection.execute(select(table.name, table.definition).order_by(table.name))
            return {name: definition for name, definition in rows if isinstance(definition, dict)}

    def save(self, name: str, definition: Mapping[str, Any]) -> None:
        """Keep a policy; one of this name is replaced."""
        if not name.strip():
            raise StorageError("A policy needs a name.")
        with self._transaction() as connection:
            statement = insert(tables.policies).values(name=name, definition=dict(definition))
            change = {"definition": statement.excluded.definition}
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=change))

    def remove(self, name: str) -> None:
        """Forget a policy."""
        with self._transaction() as connection:
            connection.execute(delete(tables.policies).where(tables.policies.c.name == name))


class DocumentRepository:
    """Values read and written whole: templates, affinity groups, drain plans. Their owners know what is in them.

    `kind` is a word of the owner ("template"); names are unique within it. Read bodies as hostile: anybody may have
    edited the file.

    Threads: any. Every method raises StorageError where the database fails.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def all(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every document of this kind by name, in the order of names."""
        table = tables.documents.c
        with self._transaction() as connection:
            rows = connection.execute(select(table.name, table.body).where(table.kind == kind).order_by(table.name))
            return {name: body for name, body in rows if isinstance(body, dict)}

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """One document, or None."""
        table = tables.documents.c
        with self._transaction() as connection:
            body = connection.execute(
                select(table.body).where(table.kind == kind, table.name == name)
            ).scalar_one_or_none()
            return body if isinstance(body, dict) else None

    def save(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        """Keep a document; one of this kind and name is replaced."""
        if not name.strip():
            raise StorageError(f"A {kind} needs a name.")
        with self._transaction() as connection:
            statement = insert(tables.documents).values(
                kind=kind, name=name, body=dict(body), changed_at=datetime.now(UTC).isoformat()
            )
            change = {"body": statement.excluded.body, "changed_at": statement.excluded.changed_at}
            connection.execute(statement.on_conflict_do_update(index_elements=["kind", "name"], set_=change))

    def add(self, kind: str, name: str, body: Mapping[str, Any]) -> bool:
        """Keep a document if there is none of this kind and name; whether it was added. Between processes, one wins."""
        if not name.strip():
            raise StorageError(f"A {kind} needs a name.")
        with self._transaction() as connection:
            statement = insert(tables.documents).values(
                kind=kind, name=name, body=dict(body), changed_at=datetime.now(UTC).isoformat()
            )
            return connection.execute(statement.on_conflict_do_nothing()).rowcount == 1

    def remove(self, kind: str, name: str) -> None:
        """Forget a document; nothing happens if there is none."""
        table = tables.documents
        with self._transaction() as connection:
            connection.execute(delete(table).where(table.c.kind == kind, table.c.name == name))
