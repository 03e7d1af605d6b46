"""Affinity groups and the cluster's own settings: rules an administrator gave, as values.

A group binds VMs to each other, to hosts, or both. Members are UUIDs and host names; labels add everybody that
carries them. What the rules mean for a decision is `core.scheduler.affinity`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AffinityRule(StrEnum):
    """Together, apart, or no rule."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class AffinityGroup:
    """One group. A higher `priority` wins where soft rules contradict each other."""

    name: str
    priority: float = 1.0
    vm_rule: AffinityRule = AffinityRule.DISABLED
    is_vm_rule_enforced: bool = False
    host_rule: AffinityRule = AffinityRule.DISABLED
    is_host_rule_enforced: bool = False
    vms: tuple[str, ...] = ()  # UUIDs
    hosts: tuple[str, ...] = ()  # names
    vm_labels: frozenset[str] = frozenset()
    host_labels: frozenset[str] = frozenset()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What holds for the whole cluster."""

    overcommit_pct: int = 100  # of a host's physical memory, as VMs may be promised it
    count_threads_as_cores: bool = False
    has_ha_reservation: bool = False
    is_in_upgrade: bool = False
    only_required_networks: bool = False
    required_networks: frozenset[str] = frozenset()
    ignores_vm_affinity_for_maintenance: bool = True


DEFAULT_SETTINGS = ClusterSettings()
