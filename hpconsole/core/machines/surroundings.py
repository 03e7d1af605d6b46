"""What a draft is judged against: the cluster as it is, what is promised, and which VM the draft is of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.reading import vm_from_xml
from hpconsole.core.machines.writing import render
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.policies import DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.reservations import Reservation

NEW_UUID = "00000000-0000-0000-0000-000000000000"  # stands for a VM that has none yet


@dataclass(frozen=True)
class Surroundings:
    """See the module. `host`: where the VM is defined, or is to be made; empty = not decided."""

    snapshot: ClusterSnapshot
    host: str = ""
    reservations: Sequence[Reservation] = ()
    policy: Policy = field(default=DEFAULT_POLICY)

    def chosen(self, draft: VmDraft) -> tuple[Host, ...]:
        """The hosts the VM is meant for: the specific ones that exist, or all."""
        hosts = self.snapshot.hosts
        if draft.allowed_hosts:
            return tuple(hosts[name] for name in draft.allowed_hosts if name in hosts)
        return tuple(hosts.values())

    def specific(self, draft: VmDraft) -> tuple[Host, ...]:
        """Only the specific hosts that exist."""
        return self.chosen(draft) if draft.allowed_hosts else ()

    def present(self, draft: VmDraft) -> Vm | None:
        """The VM as it is now; None for one that is not made yet."""
        return self.snapshot.vms.get(draft.uuid) if draft.uuid else None

    def shape_host(self, draft: VmDraft) -> str | None:
        """The host whose CPUs a map in the draft means, so that its shape can be read; None = not known."""
        present = self.present(draft)
        named = draft.shape_host or (present.host if present is not None else "") or self.host
        return named if named in self.snapshot.hosts else None

    def shape_topology(self, draft: VmDraft) -> HostTopology | None:
        """Its topology."""
        if draft.shape_topology is not None:
            return draft.shape_topology
        name = self.shape_host(draft)
        return None if name is None else self.snapshot.hosts[name].topology

    @cached_property
    def names(self) -> dict[str, tuple[Vm, ...]]:
        """Every VM by name."""
        found: dict[str, tuple[Vm, ...]] = {}
        for vm in self.snapshot.vms.values():
            found[vm.name] = (*found.get(vm.name, ()), vm)
        return found

    def with_vm(self, vm: Vm) -> ClusterSnapshot:
        """The snapshot as if this VM were in it."""
        return replace(self.snapshot, vms={**self.snapshot.vms, vm.uuid: vm})


def meant_vm(draft: VmDraft, *, host: str = "") -> Vm:
    """The VM that the draft makes, as the scheduler knows one, shut off and nowhere.

    Args:
        host: The host it is for: a literal pinning of its own counts then.

    Raises:
        InvalidXml, InvalidPinning, InvalidEdit: the draft cannot be meant.
    """
    vm = vm_from_xml(render(draft, host=host))
    return replace(vm, uuid=draft.uuid or NEW_UUID, host=None)


def named(hosts: Iterable[Host]) -> str:
    """Their names, in a sentence."""
    names = [host.name for host in hosts]
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
