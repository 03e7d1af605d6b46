"""Affinity groups as they are kept: saved, removed, and taken back. On a worker thread; no Qt."""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.cluster_rules import ClusterRules
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.affinity_verdict import judge


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to the groups, and how to take it back: `before` is kept again, `after` is forgotten."""

    sentence: str
    before: AffinityGroup | None = None
    after: str = ""


def save(rules: ClusterRules, snapshot: ClusterSnapshot, group: AffinityGroup, old_name: str = "") -> Step:
    """Let a group count; it takes the place of the one of its old name.

    Raises:
        InvalidEdit: it cannot be so. StorageError: it cannot be kept. Nothing was saved.
    """
    verdict = judge(group, snapshot, old_name=old_name or None)
    if verdict.problem:
        raise InvalidEdit("group", f"{verdict.problem} Nothing was saved.", subject=group.name)
    before = _kept(rules, old_name)
    rules.save_group(group)
    if old_name and old_name != group.name:
        rules.remove_group(old_name)
    return Step(f"{group.name} counts from now on. {verdict.consequence}".strip(), before, group.name)


def remove(rules: ClusterRules, name: str) -> Step:
    """Forget a group. Raises StorageError."""
    before = _kept(rules, name)
    rules.remove_group(name)
    return Step(f"The group {name} is removed: its rules do not count any more.", before)


def take_back(rules: ClusterRules, step: Step) -> str:
    """Let the groups be as they were before it; a sentence. Raises StorageError."""
    if step.before is not None:
        rules.save_group(step.before)
    if step.after and (step.before is None or step.before.name != step.after):
        rules.remove_group(step.after)
    return f"{step.before.name} is as it was before." if step.before is not None else f"{step.after} is gone again."


def _kept(rules: ClusterRules, name: str) -> AffinityGroup | None:
    return next((group for group in rules.current().groups if group.name == name), None)
