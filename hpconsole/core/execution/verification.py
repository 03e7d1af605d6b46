"""Did it really happen as planned? Both hosts are asked, whatever libvirt's migration call said.

Compares what the destination's libvirt shows (live and persistent) with the plan, and names each difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hpconsole.core.errors import HpconsoleError, HypervisorError, InvalidXml, OperationRefused, VmNotFound
from hpconsole.core.execution.end_states import EndState, HostView
from hpconsole.core.execution.known_before import KnownBefore, metadata_digest, placement_of
from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.hypervisor.lent_mark import has_mark
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import NumaMode, Vm
from hpconsole.core.planning.placement_json import placement_to_json

_JOB_UNDER_WAY = (1, 2)  # VIR_DOMAIN_JOB_BOUNDED, _UNBOUNDED

_T = TypeVar("_T")


def look(pool: ConnectionPool, host: str, vm_uuid: str, *, deadline_s: float) -> HostView:
    """Ask one host what it has of this VM. A host that cannot be asked gives a view that says so."""
    try:
        return pool.call(host, lambda hypervisor: _look(hypervisor, host, vm_uuid), deadline_s=deadline_s)
    except HpconsoleError as error:
        return HostView(host, is_reachable=False, problem=error.sentence)


def _look(hypervisor: Hypervisor, host: str, vm_uuid: str) -> HostView:
    record = next((record for record in hypervisor.sample().domains if record.uuid == vm_uuid), None)
    if record is None:
        return HostView(host)
    view = HostView(host, record=record)
    if not view.is_active:
        return HostView(host, record=record, definition_xml=_if_there(lambda: hypervisor.domain_xml(vm_uuid)))
    return HostView(
        host,
        record=record,
        live_xml=_if_there(lambda: hypervisor.domain_xml(vm_uuid)),
        definition_xml=_definition(hypervisor, record),
        has_job=_has_job(hypervisor, vm_uuid),
    )


def _definition(hypervisor: Hypervisor, record: DomainRecord) -> str | None:
    if not record.is_persistent:
        return None
    return _if_there(lambda: hypervisor.domain_xml(record.uuid, inactive=True))


def _has_job(hypervisor: Hypervisor, vm_uuid: str) -> bool:
    stats = _if_there(lambda: hypervisor.job_stats(vm_uuid))
    return stats is not None and stats.job_type in _JOB_UNDER_WAY


def _if_there(action: Callable[[], _T]) -> _T | None:
    """The VM may end or leave between two questions; that is an answer, not an error."""
    try:
        return action()
    except (VmNotFound, OperationRefused):
        return None


def differences(
    view: HostView, placement: Placement, known: KnownBefore, *, host_cpus: CpuSet | None = None
) -> tuple[str, ...]:
    """Each way in which what `view` shows is not the plan, or not as before, in a sentence. Empty = all is well.

    Args:
        host_cpus: every CPU of the host: a thread that may use them all is not pinned.
    """
    if view.record is None or view.live_xml is None:
        return (f"{view.host} could not be asked for the pinning the VM has there.",)
    if host_cpus is None and placement.pinning.emulator is None and known.emulator_there:
        host_cpus = CpuSet.parse(known.emulator_there)  # what an emulator got back that is not pinned
    found: list[str] = []
    try:
        if has_mark(view.live_xml) or has_mark(view.definition_xml):
            found.append(f"On {view.host} it still says (<metadata>) that its emulator threads are on lent CPUs.")
        found += _compared(view, view.live_xml, placement, "is", host_cpus)
        if view.definition_xml is not None:
            found += _compared(view, view.definition_xml, placement, "will at its next start be", host_cpus)
            if known.metadata and metadata_digest(view.definition_xml) != known.metadata:
                found.append(f"What its definition says of it (<metadata>) is not on {view.host} as it was before.")
    except InvalidXml as error:
        found.append(f"What {view.host} says of the VM cannot be read: {error.sentence}")
    return tuple(found)


def asked_back(view: HostView, placement: Placement, *, host_cpus: CpuSet | None = None) -> dict[str, Any]:
    """What `differences` compared, for the journal: the pinning as planned, as it is there, as at the next start.

    JSON placements by `planned`, `live` and, of a persistent VM, `next_start`; empty where nothing is pinned or known.
    """
    if view.record is None or view.live_xml is None:
        return {}
    try:
        live, planned = _actual_and_planned(view.record, view.host, view.live_xml, placement, host_cpus)
        found = {"planned": placement_of(planned, view.host), "live": placement_of(live, view.host)}
        if view.definition_xml is not None:
            later, _ = _actual_and_planned(view.record, view.host, view.definition_xml, placement, host_cpus)
            found["next_start"] = placement_of(later, view.host)
    except InvalidXml:
        return {}  # `differences` says so
    if all(one.is_free for one in found.values()):
        return {}
    return {name: placement_to_json(one) for name, one in found.items()}


def _actual_and_planned(
    record: DomainRecord, host: str, xml: str, placement: Placement, host_cpus: CpuSet | None
) -> tuple[Vm, Vm]:
    """Writing the plan into XML that is as planned changes nothing: so the same code says what the plan means."""
    actual = read_vm(record, xml, host=host, host_cpus=host_cpus)
    return actual, read_vm(record, with_placement(xml, placement), host=host, host_cpus=host_cpus)


def _compared(view: HostView, xml: str, placement: Placement, verb: str, host_cpus: CpuSet | None) -> list[str]:
    if view.record is None:
        return []
    actual, planned = _actual_and_planned(view.record, view.host, xml, placement, host_cpus)
    found: list[str] = []
    for vcpu in sorted({vcpu for vcpu, _ in (*planned.pinning.vcpus, *actual.pinning.vcpus)}):
        found += _cpus(f"vCPU {vcpu}", actual.pinning.of_vcpu(vcpu), planned.pinning.of_vcpu(vcpu), verb)
    found += _cpus("The emulator", actual.pinning.emulator, planned.pinning.emulator, verb)
    is_pinned, should_be = dict(actual.pinning.iothreads), dict(planned.pinning.iothreads)
    for thread in sorted(is_pinned.keys() | should_be.keys()):
        found += _cpus(f"IO thread {thread}", is_pinned.get(thread), should_be.get(thread), verb)
    for node, wanted in zip(actual.virtual_nodes, planned.virtual_nodes, strict=True):
        present = _bound(node.host_nodes, node.mode)
        if present != _bound(wanted.host_nodes, wanted.mode):
            found.append(
                f"Virtual node {node.node_id} {verb} {present}, "
                f"not {_bound(wanted.host_nodes, wanted.mode)} as planned."
            )
    if actual.numa_tune != planned.numa_tune:
        found.append(f"The memory of the whole VM {verb} {_tuned(actual)}, not {_tuned(planned)} as planned.")
    return found


def _cpus(thread: str, actual: CpuSet | None, planned: CpuSet | None, verb: str) -> list[str]:
    if actual == planned:
        return []
    present = "not pinned" if actual is None else f"pinned to {actual.format()}"
    wanted = "unpinned" if planned is None else planned.format()
    return [f"{thread} {verb} {present}, not {wanted} as planned."]


def _bound(nodes: Iterable[int], mode: NumaMode) -> str:
    text = CpuSet.of(nodes).format()
    return f"bound to node {text} ({mode.value})" if text else "unbound"


def _tuned(vm: Vm) -> str:
    return "unbound" if vm.numa_tune is None else _bound(vm.numa_tune.nodeset, vm.numa_tune.mode)


def ids(view: HostView) -> str:
    """For the details pane: the state numbers and whether it is persistent there."""
    if not view.is_reachable:
        return f"{view.host}: not reachable ({view.problem})"
    if view.record is None:
        return f"{view.host}: knows no such VM"
    record = view.record
    kind = "persistent" if record.is_persistent else "transient"
    return f"{view.host}: state {record.state}, reason {record.reason}, {kind}, job {'yes' if view.has_job else 'no'}"


def outcome_detail(state: EndState, views: tuple[HostView, ...], error: HypervisorError | None) -> str:
    """What was seen and what libvirt said, for the details pane and the log."""
    lines = [f"verified: {state.value}", *(ids(view) for view in views)]
    if error is not None:
        lines.append(f"libvirt: {error.detail or error.sentence}")
    return "\n".join(lines)
