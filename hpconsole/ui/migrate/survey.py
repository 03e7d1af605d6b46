"""What the Migrate dialog has computed for it: verdicts, plan, placements. Pure; called on a worker thread. No Qt.

Apart from the presenter because the scheduler behind it (numpy) takes a tenth of a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.errors import PlanningError
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import Choices, MigrationIntent, choices, plan_migration
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.ui.migrate.picture import picture, present_placement
from hpconsole.ui.migrate.view import HostDetail, PinRow

NOT_PINNED = "any CPU"
NOT_BOUND = "any node"


@dataclass(frozen=True, slots=True)
class Survey:
    """The answer for every host, and the plan for what is chosen."""

    snapshot: ClusterSnapshot
    reservations: tuple[Reservation, ...]
    choices: Choices
    destination: str | None  # what the plan was made for; None = automatically
    plan: Plan | None
    problem: str  # why there is no plan; a sentence


def survey(
    vm_uuids: tuple[str, ...],
    destination: str | None,
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation],
) -> Survey:
    """Ask about every host, and plan for the destination (None = automatically)."""
    intent = MigrationIntent(vm_uuids, destination)
    promised = tuple(reservations)
    answers = choices(intent, snapshot, policy, promised)
    plan, problem = None, ""
    try:
        plan = plan_migration(intent, snapshot, policy, promised)
    except PlanningError as error:
        problem = error.sentence
    return Survey(snapshot, promised, answers, destination, plan, problem)


def detail(answer: Survey, host: str, vm_uuid: str) -> HostDetail:
    """The pinning this VM would get on this host, beside what it has now."""
    vm = answer.snapshot.vms.get(vm_uuid)
    there = answer.snapshot.hosts.get(host)
    if vm is None or there is None:
        return HostDetail(host, vm_uuid)
    placement = answer.choices.placement(host, vm_uuid)
    if placement is None:
        return HostDetail(host, vm_uuid, remark=f"{vm.name} stays where it is.")
    if isinstance(placement, Misfit):
        return HostDetail(host, vm_uuid, misfit=placement.sentence)
    present = present_placement(vm)
    if placement.is_free and present.is_free:
        return HostDetail(
            host, vm_uuid, remark=f"{vm.name} is not pinned: it may use every CPU and all memory of its host."
        )
    everyone = tuple(answer.snapshot.vms.values())
    without = frozenset({vm_uuid})
    source = answer.snapshot.hosts.get(vm.host or "")
    now = None
    if source is not None:
        now = picture(f"Now, on {source.name}", occupancy(source, everyone, without=without), present)
    taken = occupancy(there, everyone, answer.reservations, without=without)
    return HostDetail(
        host, vm_uuid, now, picture(f"Then, on {host}", taken, placement), pin_rows(vm, present, placement)
    )


def pin_rows(vm: Vm, now: Placement, there: Placement) -> tuple[PinRow, ...]:
    """Every virtual node, vCPU and helper thread of the VM: what it is bound to now, and there."""
    rows: list[PinRow] = []
    if now.numa_tune is not None or there.numa_tune is not None:
        rows.append(PinRow("Memory", _tuned(now), _tuned(there)))
    inside = CpuSet()
    for node in vm.virtual_nodes:
        rows.append(PinRow(f"Virtual node {node.node_id}", _bound(now, node.node_id), _bound(there, node.node_id)))
        rows += [_vcpu(vcpu, now, there, "    ") for vcpu in node.vcpus]
        inside |= node.vcpus
    rows += [_vcpu(vcpu, now, there) for vcpu in range(vm.vcpus) if vcpu not in inside]
    if now.pinning.emulator is not None or there.pinning.emulator is not None:
        rows.append(PinRow("Emulator", _cpus(now.pinning.emulator), _cpus(there.pinning.emulator)))
    threads_now, threads_there = dict(now.pinning.iothreads), dict(there.pinning.iothreads)
    for thread in sorted(threads_now.keys() | threads_there.keys()):
        rows.append(PinRow(f"IO thread {thread}", _cpus(threads_now.get(thread)), _cpus(threads_there.get(thread))))
    return tuple(rows)


def _vcpu(vcpu: int, now: Placement, there: Placement, indent: str = "") -> PinRow:
    return PinRow(f"{indent}vCPU {vcpu}", _cpus(now.pinning.of_vcpu(vcpu)), _cpus(there.pinning.of_vcpu(vcpu)))


def _cpus(cpus: CpuSet | None) -> str:
    return NOT_PINNED if cpus is None else f"CPU {cpus.format()}"


def _bound(placement: Placement, node_id: int) -> str:
    binding = next((b for b in placement.bindings if b.node_id == node_id), None)
    if binding is None or not binding.host_nodes:
        return NOT_BOUND
    return f"node {', '.join(map(str, binding.host_nodes))} {binding.mode.value}"


def _tuned(placement: Placement) -> str:
    tune = placement.numa_tune
    return NOT_BOUND if tune is None else f"node {tune.nodeset.format()} {tune.mode.value}"
