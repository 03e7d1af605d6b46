"""What an administrator decided for the whole cluster: its settings and affinity groups, kept and handed to the poller.

Knows no SQLAlchemy: it is given something that keeps documents and settings (the database, or nothing in a demo).
What rules mean for a decision is `core.scheduler`'s business; whether groups make sense, `planning.affinity_rules`'.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hpconsole.core.errors import ScenarioError, StorageError
from hpconsole.core.keeping import Documents, Settings
from hpconsole.core.model.affinity import DEFAULT_SETTINGS, AffinityGroup, ClusterSettings
from hpconsole.core.scheduler.value_json import from_json, to_json

SETTINGS_KEY = "cluster"  # in the table of settings
LABEL_KIND = "host_labels"  # of documents; the document's name is the host's
GROUP_KIND = "affinity_group"  # of documents; the document's name is the group's


@dataclass(frozen=True, slots=True)
class Rules:
    """The cluster's settings, affinity groups (in the order of their names) and labels of hosts."""

    settings: ClusterSettings = DEFAULT_SETTINGS
    groups: tuple[AffinityGroup, ...] = ()
    host_labels: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by host name


class Keeper(Protocol):
    """What remembers rules from one run to the next: `core.database.Database`."""

    @property
    def documents(self) -> Documents:
        """Values read and written whole."""

    @property
    def settings(self) -> Settings:
        """Values by key."""


def write_settings(settings: ClusterSettings) -> dict[str, Any]:
    """Cluster settings as JSON data; fields that have their default are left out."""
    return dict(to_json(settings))


def read_settings(data: object) -> ClusterSettings:
    """Cluster settings from JSON data.

    Raises:
        ScenarioError: the data holds a field nobody knows, or a value no setting can have.
    """
    settings: ClusterSettings = _read(ClusterSettings, data, "The settings of the cluster")
    return settings


def write_group(group: AffinityGroup) -> dict[str, Any]:
    """An affinity group as JSON data; fields that have their default are left out."""
    return dict(to_json(group))


def read_group(name: str, data: object) -> AffinityGroup:
    """An affinity group from JSON data.

    Args:
        name: Under which it is kept; it wins over a name in the data.

    Raises:
        ScenarioError: the data is no affinity group.
    """
    named = {**data, "name": name} if isinstance(data, Mapping) else data
    group: AffinityGroup = _read(AffinityGroup, named, f"The affinity group {name}")
    return group


def _read(kind: type, data: object, subject: str) -> Any:
    try:
        return from_json(kind, data, "it")
    except ScenarioError as error:
        reason = error.sentence.removeprefix("The file cannot be used: ").removeprefix("it.").rstrip(".")
        sentence = f"{subject} cannot be read from the console's database ({reason}) and does not count. Save it anew."
        raise ScenarioError(sentence, detail=error.sentence, subject=subject) from error


def read_rules(keeper: Keeper) -> tuple[Rules, tuple[str, ...]]:
    """What is kept, and a sentence for each part that cannot be read.

    Raises:
        StorageError: the database cannot be read.
    """
    problems: list[str] = []
    settings = DEFAULT_SETTINGS
    try:
        settings = read_settings(keeper.settings.get(SETTINGS_KEY, {}))
    except ScenarioError as error:
        problems.append(error.sentence)
    groups: list[AffinityGroup] = []
    for name, body in keeper.documents.all(GROUP_KIND).items():
        try:
            groups.append(read_group(name, body))
        except ScenarioError as error:
            problems.append(error.sentence)
    labels = {host: _labels(body.get("labels")) for host, body in keeper.documents.all(LABEL_KIND).items()}
    return Rules(settings, tuple(groups), {host: own for host, own in labels.items() if own}), tuple(problems)


def _labels(data: object) -> frozenset[str]:
    """Labels from JSON data; what is no text is left out."""
    found = data if isinstance(data, list) else []
    return frozenset(label for label in found if isinstance(label, str) and label.strip() and label.isprintable())


class ClusterRules:
    """The rules in force. Without a keeper they live as long as this run.

    Threads: any. `current` never waits for the database.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules = Rules()
        self._keeper: Keeper | None = None

    def current(self) -> Rules:
        """What counts now."""
        return self._rules

    def keep_in(self, keeper: Keeper) -> tuple[str, ...]:
        """Read the rules from there, and keep every change there from now on.

        Returns: a sentence for each part that cannot be read.

        Raises:
            StorageError: the database cannot be read; the rules stay as they are.
        """
        self._keeper = keeper
        return self.reload()

    def reload(self) -> tuple[str, ...]:
        """Read what another console may have changed. Returns and raises as `keep_in`."""
        if self._keeper is None:
            return ()
        with self._lock:
            rules, problems = read_rules(self._keeper)
            if rules != self._rules:
                self._rules = rules
            return problems

    def save_settings(self, settings: ClusterSettings) -> None:
        """Let these settings count, and keep them.

        Raises:
            StorageError: they cannot be kept; nothing was changed.
        """
        with self._lock:
            if self._keeper is not None:
                self._keeper.settings.set(SETTINGS_KEY, write_settings(settings))
            self._rules = replace(self._rules, settings=settings)

    def save_group(self, group: AffinityGroup) -> None:
        """Let this group count, and keep it; one of this name is replaced.

        Raises:
            StorageError: it has no name or cannot be kept; nothing was changed.
        """
        if not group.name.strip():
            raise StorageError("An affinity group needs a name.")
        with self._lock:
            if self._keeper is not None:
                self._keeper.documents.save(GROUP_KIND, group.name, write_group(group))
            others = [known for known in self._rules.groups if known.name != group.name]
            groups = tuple(sorted((*others, group), key=lambda known: known.name))
            self._rules = replace(self._rules, groups=groups)

    def remove_group(self, name: str) -> None:
        """Forget a group; nothing happens if there is none of this name.

        Raises:
            StorageError: the database cannot be written; nothing was changed.
        """
        with self._lock:
            if self._keeper is not None:
                self._keeper.documents.remove(GROUP_KIND, name)
            groups = tuple(known for known in self._rules.groups if known.name != name)
            self._rules = replace(self._rules, groups=groups)

    def save_host_labels(self, host: str, labels: frozenset[str]) -> None:
        """Give a host these labels and no others.

        Raises:
            StorageError: a label is blank or cannot be shown, or they cannot be kept; nothing was changed.
        """
        if _labels(list(labels)) != labels:
            raise StorageError("A label is a word that can be read.")
        with self._lock:
            if self._keeper is not None and labels:
                self._keeper.documents.save(LABEL_KIND, host, {"labels": sorted(labels)})
            elif self._keeper is not None:
                self._keeper.documents.remove(LABEL_KIND, host)
            others = {name: own for name, own in self._rules.host_labels.items() if name != host}
            self._rules = replace(self._rules, host_labels={**others, host: labels} if labels else others)
