"""What a draft is judged against: the cluster as it is, what is promised, and which VM the draft is of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.reading import vm_from_xml
from hpconsole.core.machines.writing import render
from hpconsole.core.model.host import Host
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


def meant_vm(draft: VmDraft, present: Vm | None = None, *, host: str = "") -> Vm:
    """The VM that the draft makes, as the scheduler knows one: shut off, or running where `present` runs.

    Raises:
        InvalidXml, InvalidPinning, InvalidEdit: the draft cannot be meant.
    """
    vm = vm_from_xml(render(draft, host=host), host=present.host or "" if present is not None else "")
    vm = replace(vm, uuid=draft.uuid or NEW_UUID, host=None)
    if present is None:
        return vm
    return replace(vm, host=present.host, state=present.state, is_persistent=present.is_persistent)


def named(hosts: Iterable[Host]) -> str:
    """Their names, in a sentence."""
    names = [host.name for host in hosts]
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
