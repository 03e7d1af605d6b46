"""What the scheduler is asked: where should these VMs go?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: these VMs together on one host."""

    vm_uuids: tuple[str, ...]
    excluded_hosts: frozenset[str] = frozenset()
    only_hosts: frozenset[str] = frozenset()  # empty = any
    ignore_hard_vm_affinity: bool = False
    may_stay: bool = False  # the host a running VM is on is an answer too
