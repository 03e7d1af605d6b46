"""Cluster settings and affinity groups: kept, read back, refused where hostile, and seen in every snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hpconsole.core.cluster_rules import ClusterRules, Rules, read_group, read_settings, write_group, write_settings
from hpconsole.core.database.database import Database
from hpconsole.core.errors import ScenarioError, StorageError
from hpconsole.core.model.affinity import AffinityGroup, AffinityRule, ClusterSettings

GROUP = AffinityGroup(
    "licence",
    priority=2.5,
    vm_rule=AffinityRule.NEGATIVE,
    is_vm_rule_enforced=True,
    host_rule=AffinityRule.POSITIVE,
    vms=("3f1c0000-0000-4000-8000-000000000001",),
    hosts=("alpha", "beta"),
    host_labels=frozenset({"rack-1"}),
)
SETTINGS = ClusterSettings(overcommit_pct=150, required_networks=frozenset({"storage"}), is_in_upgrade=True)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "hpconsole.sqlite3")


def test_what_is_written_is_read() -> None:
    assert read_group("licence", write_group(GROUP)) == GROUP
    assert read_settings(write_settings(SETTINGS)) == SETTINGS
    assert read_settings({}) == ClusterSettings()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ([], "set of named values"),
        ({"vm_rule": "sometimes"}, "vm_rule is not one of: positive"),
        ({"hosts": "alpha"}, "hosts is not a list"),
        ({"hosts": [1]}, r"hosts\[0\] is not text"),
        ({"priority": float("nan")}, "priority is not a usable number"),
        ({"__class__": "x"}, "nobody knows"),
        (None, "set of named values"),
    ],
)
def test_a_hostile_group_gets_a_sentence(data: object, word: str) -> None:
    with pytest.raises(ScenarioError, match=word) as caught:
        read_group("evil", data)
    assert caught.value.sentence.startswith("The affinity group evil cannot be read")


def test_hostile_settings_get_a_sentence() -> None:
    with pytest.raises(ScenarioError, match="overcommit_pct is not a number from 0"):
        read_settings({"overcommit_pct": -1})
    with pytest.raises(ScenarioError, match="settings of the cluster cannot be read"):
        read_settings("all")


def test_changes_count_at_once_and_outlive_the_run(database: Database) -> None:
    rules = ClusterRules()
    assert rules.keep_in(database) == ()
    rules.save_settings(SETTINGS)
    rules.save_group(GROUP)
    rules.save_group(AffinityGroup("apart"))
    rules.remove_group("apart")
    assert rules.current() == Rules(SETTINGS, (GROUP,))
    later = ClusterRules()
    assert later.keep_in(database) == ()
    assert later.current() == Rules(SETTINGS, (GROUP,))


def test_another_console_is_heard(database: Database) -> None:
    mine, other = ClusterRules(), ClusterRules()
    mine.keep_in(database)
    other.keep_in(database)
    other.save_group(GROUP)
    assert mine.current().groups == ()
    mine.reload()
    assert mine.current().groups == (GROUP,)


def test_what_cannot_be_read_is_said_and_the_rest_counts(database: Database) -> None:
    database.settings.set("cluster", {"overcommit_pct": "lots"})
    database.documents.save("affinity_group", "broken", {"vms": 3})
    database.documents.save("affinity_group", "licence", write_group(GROUP))
    rules = ClusterRules()
    problems = rules.keep_in(database)
    assert rules.current() == Rules(ClusterSettings(), (GROUP,))
    assert len(problems) == 2
    assert all("database" in sentence for sentence in problems)


def test_a_group_needs_a_name_and_nothing_is_changed_where_it_cannot_be_kept(database: Database) -> None:
    rules = ClusterRules()
    rules.keep_in(database)
    with pytest.raises(StorageError, match="name"):
        rules.save_group(AffinityGroup(" "))
    database.close()
    with pytest.raises(StorageError):
        rules.save_group(GROUP)
    with pytest.raises(StorageError):
        rules.save_settings(SETTINGS)
    assert rules.current() == Rules()


def test_without_a_keeper_rules_live_as_long_as_the_run() -> None:
    rules = ClusterRules()
    attempts: list[Callable[[], object]] = [lambda: rules.save_group(GROUP), rules.reload]
    for attempt in attempts:
        attempt()
    assert rules.current().groups == (GROUP,)


def test_labels_of_hosts_are_kept_and_what_is_none_is_left_out(database: Database) -> None:
    rules = ClusterRules()
    rules.keep_in(database)
    rules.save_host_labels("alpha", frozenset({"rack-1", "ssd"}))
    with pytest.raises(StorageError):
        rules.save_host_labels("alpha", frozenset({" "}))
    database.documents.save("host_labels", "beta", {"labels": ["ok", 7, "", "line\nbreak"]})
    database.documents.save("host_labels", "gamma", {"labels": "rack-1"})
    again = ClusterRules()
    again.keep_in(database)
    assert again.current().host_labels == {"alpha": frozenset({"rack-1", "ssd"}), "beta": frozenset({"ok"})}
    again.save_host_labels("alpha", frozenset())
    assert "alpha" not in again.current().host_labels
    assert database.documents.get("host_labels", "alpha") is None
