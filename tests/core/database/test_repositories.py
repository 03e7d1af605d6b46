"""Hosts, settings and policies: what goes in comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpconsole.core.database.database import Database
from hpconsole.core.database.values import ConfiguredHost
from hpconsole.core.errors import StorageError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    yield database
    database.close()


def test_hosts_keep_the_order_they_were_added_in(database: Database) -> None:
    database.hosts.add("b", "qemu+tcp://b/system")
    database.hosts.add("a", "qemu+tcp://a/system")
    assert database.hosts.all() == (
        ConfiguredHost("b", "qemu+tcp://b/system", 0),
        ConfiguredHost("a", "qemu+tcp://a/system", 1),
    )


def test_adding_a_host_again_changes_its_uri_and_not_its_place(database: Database) -> None:
    for name in "abc":
        database.hosts.add(name, f"qemu+tcp://{name}/system")
    assert database.hosts.add("b", "qemu+tls://b/system") == ConfiguredHost("b", "qemu+tls://b/system", 1)
    assert [host.name for host in database.hosts.all()] == ["a", "b", "c"]


def test_hosts_can_be_removed_and_reordered(database: Database) -> None:
    for name in "abcd":
        database.hosts.add(name, "qemu:///system")
    database.hosts.remove("b")
    database.hosts.remove("never there")
    database.hosts.reorder(("d", "a"))
    assert [host.name for host in database.hosts.all()] == ["d", "a", "c"]


@pytest.mark.parametrize("value", [None, 0, "text", [1, 2], {"a": {"b": None}}, "'; DROP TABLE hosts; --"])
def test_settings_keep_json_values(database: Database, value: object) -> None:
    database.settings.set("key", "before")
    database.settings.set("key", value)
    assert database.settings.get("key", "default") == value
    database.settings.remove("key")
    assert database.settings.get("key", "default") == "default"


def test_a_value_that_is_no_json_is_refused(database: Database) -> None:
    with pytest.raises(StorageError, match="nothing was written"):
        database.settings.set("key", object())
    assert database.settings.get("key") is None


def test_policies_are_kept_by_name(database: Database) -> None:
    database.policies.save("mine", {"filters": ["NUMA"], "weights": []})
    database.policies.save("mine", {"filters": ["CpuPinning"], "weights": []})
    database.policies.save("other", {})
    assert database.policies.all() == {"mine": {"filters": ["CpuPinning"], "weights": []}, "other": {}}
    database.policies.remove("mine")
    assert list(database.policies.all()) == ["other"]
    with pytest.raises(StorageError):
        database.policies.save(" ", {})


def test_documents_are_kept_by_kind_and_name(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "hpconsole.sqlite3")
    database.documents.save("template", "web", {"vcpus": 4})
    database.documents.save("pool", "web", {"size": 3})
    database.documents.save("template", "web", {"vcpus": 8})
    database.close()
    again = Database.open(tmp_path / "hpconsole.sqlite3")
    assert again.documents.all("template") == {"web": {"vcpus": 8}}
    assert again.documents.get("pool", "web") == {"size": 3}
    again.documents.remove("pool", "web")
    again.documents.remove("pool", "web")
    assert again.documents.get("pool", "web") is None
    assert again.documents.all("template")
    again.close()


def test_a_document_needs_a_name(database: Database) -> None:
    with pytest.raises(StorageError, match="A template needs a name"):
        database.documents.save("template", " ", {})
