"""What is taken on one host, apart from the VM that is being placed. Built from a snapshot and promises.

A running VM's memory is already missing from the host's free numbers; only promises are subtracted. Which CPUs a VM
keeps for itself is decided here, once, for everybody who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, NumaMode, VirtualNumaNode, Vm
from hpconsole.core.scheduler.host_tables import tables_of
from hpconsole.core.scheduler.reservations import Reservation

_LARGEST_NORMAL_PAGE_KIB = 4
PLAIN = 0  # stands for plain memory where memory is counted by page size


@dataclass(frozen=True, slots=True)
class NodeClaim:
    """Memory a VM takes from one host node: KiB of plain memory (`page_kib` PLAIN), or pages."""

    node_id: int
    page_kib: int
    amount: int


@dataclass(frozen=True, slots=True)
class CpuUser:
    """A VM and the CPUs it is pinned to."""

    vm_uuid: str
    name: str
    cpus: CpuSet
    is_exclusive: bool


@dataclass(frozen=True)
class Occupancy:
    """One host and what is left of it. KiB and pages by node id; a node that told nothing is absent.

    Exclusive CPUs are other VMs' own. Shared CPUs are pinned by name (literal maps, emulators beside their vCPUs):
    they refuse a VM that wants CPUs of its own, and nobody else.
    """

    host: Host
    free_kib: Mapping[int, int]
    free_pages: Mapping[int, Mapping[int, int]]  # node id -> page size in KiB -> pages
    exclusive: CpuSet = EMPTY
    shared: CpuSet = EMPTY
    users: tuple[CpuUser, ...] = field(default=())

    def users_of(self, cpus: CpuSet) -> tuple[CpuUser, ...]:
        """The VMs pinned to any of these CPUs."""
        return tuple(user for user in self.users if user.cpus.bits & cpus.bits)


def own_cpus(vm: Vm, pinning: CpuPinning, topology: HostTopology) -> CpuSet:
    """The CPUs of this host that a VM, pinned like this, has for itself; empty unless its policy is exclusive.

    Isolated threads own their whole cores. A kept shape that lies over all CPUs of a host node with more CPUs than
    vCPUs is at home on the node, not on its CPUs, and owns none of them.
    """
    return CpuSet(_own_and_shared(vm, pinning, topology)[0])


def shared_cpus(vm: Vm, pinning: CpuPinning, topology: HostTopology) -> CpuSet:
    """The CPUs that a VM, pinned like this, uses by number and shares: literal maps, helpers on CPUs of their own.

    CPUs that were derived from host nodes (policy NONE) count as nobody's.
    """
    return CpuSet(_own_and_shared(vm, pinning, topology)[1])


def _own_and_shared(vm: Vm, pinning: CpuPinning, topology: HostTopology) -> tuple[int, int]:
    """The CPUs of `own_cpus` and `shared_cpus`, as bits."""
    policy = vm.intent.cpu_pinning_policy
    if policy is CpuPinningPolicy.NONE:
        return 0, 0
    tables = tables_of(topology)
    own = shared = 0
    if policy.is_exclusive:
        for cpus, users in _users_by_set(pinning).items():
            is_single = not cpus & (cpus - 1)  # one CPU is never a whole node's
            if is_single or policy is not CpuPinningPolicy.KEEP_SHAPE or not tables.is_node_wide(cpus, users):
                own |= cpus
        if policy is CpuPinningPolicy.ISOLATE_THREADS:
            own = tables.whole_cores(own)
    elif policy in (CpuPinningPolicy.MANUAL, CpuPinningPolicy.RESIZE_AND_PIN_NUMA):
        shared = pinning.all_vcpu_cpus.bits
    helpers = [cpus for _, cpus in pinning.iothreads] + ([pinning.emulator] if pinning.emulator else [])
    for helper in helpers:
        if not tables.is_node_wide(helper.bits, 0):
            shared |= helper.bits
    return own, shared & ~own


def claims_of(vm: Vm, placement: Placement) -> tuple[NodeClaim, ...]:
    """The memory that a VM takes from each host node at this placement. Memory only preferred somewhere is no claim."""
    claims: dict[tuple[int, int], int] = {}
    nodes = {node.node_id: node for node in vm.virtual_nodes}
    for binding in placement.bindings:
        node = nodes.get(binding.node_id)
        if node is not None and binding.mode is not NumaMode.PREFERRED:
            _charge(claims, binding.host_nodes, node.memory_kib, huge_page_kib(vm, node))
    if placement.numa_tune is not None and placement.numa_tune.mode is not NumaMode.PREFERRED:
        bound = {binding.node_id for binding in placement.bindings}
        for memory_kib, page_kib in unbound_memory(vm, bound):
            _charge(claims, tuple(placement.numa_tune.nodeset), memory_kib, page_kib)
    return tuple(NodeClaim(node, page, amount) for (node, page), amount in sorted(claims.items()))


def huge_page_kib(vm: Vm, node: VirtualNumaNode | None = None) -> int | None:
    """The huge page size of a virtual node's (or the VM's) memory; None for normal pages."""
    size = (node.page_kib if node is not None else None) or vm.huge_page_kib
    return size if size and size > _LARGEST_NORMAL_PAGE_KIB else None


def unbound_memory(vm: Vm, bound: Iterable[int]) -> tuple[tuple[int, int | None], ...]:
    """(KiB, page size) of the virtual nodes that are not in `bound`; the whole memory of a VM without any."""
    if not vm.virtual_nodes:
        return ((vm.memory_kib, huge_page_kib(vm)),)
    taken = set(bound)
    return tuple((node.memory_kib, huge_page_kib(vm, node)) for node in vm.virtual_nodes if node.node_id not in taken)


def occupancy(
    host: Host,
    vms: Iterable[Vm],
    reservations: Iterable[Reservation] = (),
    *,
    without: frozenset[str] = frozenset(),
) -> Occupancy:
    """What is taken on `host`.

    `vms` may be all VMs: those with a process on this host count (of one on its way here, its CPUs); others only lend
    their facts to a promise that does not carry its VM. A VM in `without` (the one being placed) counts nowhere, and
    where it already runs here the memory that its bound virtual nodes hold is given back.
    """
    known = {vm.uuid: vm for vm in vms}
    here = [vm for vm in known.values() if vm.host == host.name and vm.state.is_active]
    free_kib, free_pages = _told_free(host)
    users: list[CpuUser] = []
    for vm in here:
        if vm.uuid in without:
            _account(free_kib, free_pages, _held(vm), 1)
        else:
            users += _users(vm, vm.pinning, host.topology)
    for vm in known.values():  # on their way here by another console's doing: this one promised them nothing
        if vm.uuid not in without:
            for process in vm.other_processes:
                if process.host == host.name and vm.host != host.name:
                    users += _users(vm, process.pinning, host.topology)
    arrived = {vm.uuid for vm in here}
    latest = {item.vm_uuid: item for item in reservations if item.host == host.name}
    for item in latest.values():
        if item.vm_uuid in without or item.vm_uuid in arrived or item.placement is None:
            continue
        promised = item.vm or known.get(item.vm_uuid)
        if promised is None:  # nothing is known of it but its CPUs: nobody else may have them
            cpus = item.placement.pinning.all_vcpu_cpus
            users += [CpuUser(item.vm_uuid, item.vm_uuid, cpus, True)] if cpus else []
            continue
        users += _users(promised, item.placement.pinning, host.topology)
        _account(free_kib, free_pages, claims_of(promised, item.placement), -1)
    return Occupancy(
        host=host,
        free_kib=free_kib,
        free_pages=free_pages,
        exclusive=_union(user.cpus for user in users if user.is_exclusive),
        shared=_union(user.cpus for user in users if not user.is_exclusive),
        users=tuple(users),
    )


def _users_by_set(pinning: CpuPinning) -> dict[int, int]:
    """Each different CPU set (as bits) with the number of vCPUs pinned to it."""
    users: dict[int, int] = {}
    for _, cpus in pinning.vcpus:
        users[cpus.bits] = users.get(cpus.bits, 0) + 1
    return users


def _charge(claims: dict[tuple[int, int], int], nodes: tuple[int, ...], memory_kib: int, page_kib: int | None) -> None:
    amount = divided(memory_kib, page_kib, len(nodes))
    for node in nodes:
        key = (node, page_kib or PLAIN)
        claims[key] = claims.get(key, 0) + amount


def divided(memory_kib: int, page_kib: int | None, parts: int) -> int:
    """KiB, or pages of `page_kib`, that each of `parts` equal shares takes (rounded up)."""
    whole = -(-memory_kib // page_kib) if page_kib else memory_kib
    return -(-whole // max(1, parts))


def _held(vm: Vm) -> tuple[NodeClaim, ...]:
    """What a running VM's bound memory takes from its nodes now."""
    claims: dict[tuple[int, int], int] = {}
    unbound = [node for node in vm.virtual_nodes if not node.host_nodes]
    for node in vm.virtual_nodes:
        if node.host_nodes and node.mode is not NumaMode.PREFERRED:
            _charge(claims, node.host_nodes, node.memory_kib, huge_page_kib(vm, node))
    if vm.numa_tune is not None and vm.numa_tune.mode is not NumaMode.PREFERRED and (unbound or not vm.virtual_nodes):
        bound = {node.node_id for node in vm.virtual_nodes if node.host_nodes}
        for memory_kib, page_kib in unbound_memory(vm, bound):
            _charge(claims, tuple(vm.numa_tune.nodeset), memory_kib, page_kib)
    return tuple(NodeClaim(node, page, amount) for (node, page), amount in claims.items())


def _told_free(host: Host) -> tuple[dict[int, int], dict[int, dict[int, int]]]:
    """Free memory and pages by node as the host told them; a host without NUMA nodes counts as one node."""
    if not host.topology.nodes:
        free = host.usage.memory_free_kib
        return ({} if free is None else {0: max(0, free)}), {0: {}}
    free_kib = {usage.node_id: max(0, usage.free_kib) for usage in host.usage.nodes}
    free_pages = {
        usage.node_id: {size: max(0, pages) for size, pages in usage.free_pages} for usage in host.usage.nodes
    }
    return free_kib, free_pages


def _account(
    free_kib: dict[int, int], free_pages: dict[int, dict[int, int]], claims: Iterable[NodeClaim], sign: int
) -> None:
    for claim in claims:
        if claim.page_kib == PLAIN:
            if claim.node_id in free_kib:
                free_kib[claim.node_id] = max(0, free_kib[claim.node_id] + sign * claim.amount)
        elif claim.page_kib in free_pages.get(claim.node_id, ()):
            pages = free_pages[claim.node_id]
            pages[claim.page_kib] = max(0, pages[claim.page_kib] + sign * claim.amount)


_KEPT = 4096
_known_users: dict[tuple[int, int], tuple[Vm, CpuPinning, HostTopology, list[CpuUser]]] = {}


def _users(vm: Vm, pinning: CpuPinning, topology: HostTopology) -> list[CpuUser]:
    """Remembered while VM and pinning are the same objects: from poll to poll nearly all are."""
    key = (id(vm), id(pinning))
    known = _known_users.get(key)
    if known is not None and known[0] is vm and known[1] is pinning and known[2] is topology:
        return known[3]
    users = _read_users(vm, pinning, topology)
    if len(_known_users) >= _KEPT:
        _known_users.clear()
    _known_users[key] = (vm, pinning, topology, users)  # all are held, so their identities stay their own
    return users


def _read_users(vm: Vm, pinning: CpuPinning, topology: HostTopology) -> list[CpuUser]:
    own, shared = _own_and_shared(vm, pinning, topology)
    users = [CpuUser(vm.uuid, vm.name, CpuSet(own), True)] if own else []
    return [*users, CpuUser(vm.uuid, vm.name, CpuSet(shared), False)] if shared else users


def _union(sets: Iterable[CpuSet]) -> CpuSet:
    together = EMPTY
    for cpus in sets:
        together |= cpus
    return together
