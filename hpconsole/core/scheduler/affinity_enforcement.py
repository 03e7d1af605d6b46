"""Which running VMs break affinity groups, and in which order it is tried to move one of them (behaviour.md A9).

Answers with tiers of candidates, the first tier first; order inside a tier is free. At most one VM is then moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.model.affinity import AffinityGroup, AffinityRule
from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.scheduler.affinity import unified

Tier = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What candidates are chosen from.

    `can_move` says whether any other host would take a VM (for soft groups: a better one); `order` sorts VMs.
    """

    vms: Mapping[str, Vm]
    groups: Sequence[AffinityGroup]
    can_move: Callable[[str], bool]
    order: Callable[[str], object] = str

    def tiers(self) -> list[Tier]:
        """All candidates: hard rules before soft ones, hosts before VMs."""
        found: list[Tier] = []
        for is_hard in (True, False):
            found += self._host_tiers(is_hard=is_hard)
            found += self._vm_tiers(is_hard=is_hard)
        return found

    def _host_tiers(self, *, is_hard: bool) -> Iterator[Tier]:
        """VMs on hosts they should not be on; those with the fewest broken groups first."""
        broken: dict[str, int] = {}
        for group in self.groups:
            if group.host_rule is AffinityRule.DISABLED or group.is_host_rule_enforced != is_hard:
                continue
            for uuid in group.vms:
                host = self._host(uuid)
                if host is not None and (host in group.hosts) != (group.host_rule is AffinityRule.POSITIVE):
                    broken[uuid] = broken.get(uuid, 0) + 1
        for count in sorted(set(broken.values())):
            yield from self._tier(uuid for uuid, number in broken.items() if number == count)

    def _vm_tiers(self, *, is_hard: bool) -> Iterator[Tier]:
        for group in sorted(self._vm_groups(is_hard=is_hard), key=self._importance, reverse=True):
            yield from self._group_tiers(group)

    def _vm_groups(self, *, is_hard: bool) -> list[AffinityGroup]:
        chosen = [
            group
            for group in self.groups
            if group.vm_rule is not AffinityRule.DISABLED and group.is_vm_rule_enforced == is_hard
        ]
        if not is_hard:
            return chosen
        positive = [group for group in chosen if group.vm_rule is AffinityRule.POSITIVE]
        merged = [replace(positive[0], vms=members) for members in unified(positive)] if positive else []
        return [*merged, *(group for group in chosen if group.vm_rule is AffinityRule.NEGATIVE)]

    def _importance(self, group: AffinityGroup) -> tuple[float, int, object]:
        """Soft groups by priority; then larger groups; then the one whose first VM comes later."""
        priority = 0.0 if group.is_vm_rule_enforced else group.priority
        first = min((self.order(uuid) for uuid in group.vms), default="")  # type: ignore[type-var]
        return priority, len(group.vms), first

    def _group_tiers(self, group: AffinityGroup) -> Iterator[Tier]:
        members: dict[str, list[str]] = {}
        for uuid in group.vms:
            host = self._host(uuid)
            if host is not None:
                members.setdefault(host, []).append(uuid)
        if group.vm_rule is AffinityRule.POSITIVE:
            if len(members) < 2:
                return
            sources = {host: uuids for host, uuids in members.items() if all(map(self._may_move, uuids))}
            counts = sorted({len(uuids) for uuids in sources.values()})
        else:
            sources = {host: uuids for host, uuids in members.items() if len(uuids) > 1}
            counts = sorted({len(uuids) for uuids in sources.values()}, reverse=True)
        for count in counts:
            yield from self._tier(uuid for uuids in sources.values() if len(uuids) == count for uuid in uuids)

    def _tier(self, uuids: Iterable[str]) -> Iterator[Tier]:
        tier = tuple(uuid for uuid in uuids if self._may_move(uuid) and self.can_move(uuid))
        if tier:
            yield tier

    def _host(self, uuid: str) -> str | None:
        vm = self.vms.get(uuid)
        return vm.host if vm is not None and vm.is_running_somewhere else None

    def _may_move(self, uuid: str) -> bool:
        vm = self.vms.get(uuid)
        return vm is not None and vm.intent.migration_mode is MigrationMode.AUTOMATIC
