"""A host and the virtual nodes on it as cards and chips. Decides what is written on them. No Qt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hpconsole.core.machines.draft import NodeDraft, VmDraft
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostNumaNode, HostTopology
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.ui import format as fmt
from hpconsole.ui.numa.capacity import Room, pins_on
from hpconsole.ui.numa.view import Chip, NodeCard, NodeGroup

_LOCKED = "This VM is not edited here. Open NUMA Topology for its host, or edit it."


def chips_of(draft: VmDraft, host: str) -> tuple[Chip, ...]:
    """The virtual nodes of a VM under edit, as they are pinned on this host."""
    return tuple(
        Chip(
            (draft.uuid, node.index),
            draft.name,
            f"{draft.name or 'new VM'} · {node.index}",
            _memory(node.memory_kib, draft.huge_page_kib),
            vcpu_words(node),
            node.mode,
            pins_on(draft, node.index, host),
        )
        for node in draft.numa_nodes
    )


def locked_chips(vms: Iterable[Vm], host: Host, edited: Iterable[str]) -> tuple[Chip, ...]:
    """The virtual nodes of other VMs that run on this host."""
    own = set(edited)
    return tuple(
        Chip(
            (vm.uuid, node.node_id),
            vm.name,
            f"{vm.name} · {node.node_id}",
            _memory(node.memory_kib, node.page_kib or vm.huge_page_kib),
            f"vCPU {node.vcpus.format()}" if node.vcpus else "no vCPUs",
            node.mode,
            node.host_nodes,
            is_locked=True,
            why_locked=_LOCKED,
        )
        for vm in vms
        if vm.uuid not in own and vm.host == host.name and vm.state.is_active
        for node in vm.virtual_nodes
        if node.host_nodes
    )


def vcpu_words(node: NodeDraft) -> str:
    """The vCPUs of a virtual node."""
    return f"vCPU {vcpu_text(node.vcpus)}" if node.vcpus else "no vCPUs"


def vcpu_text(vcpus: Sequence[int]) -> str:
    """VCPU numbers in list form."""
    return CpuSet.of(vcpu for vcpu in vcpus if 0 <= vcpu < 4096).format()


def _memory(memory_kib: int, page_kib: int | None) -> str:
    return f"{fmt.kib(memory_kib)} in {fmt.page_size(page_kib)} pages" if page_kib else fmt.kib(memory_kib)


def groups(
    host: Host, rooms: Mapping[int, Room], chips: Sequence[Chip], loads: Mapping[int, float]
) -> tuple[NodeGroup, ...]:
    """The nodes by socket; near nodes stand together since sockets keep theirs."""
    by_socket: dict[int, list[HostNumaNode]] = defaultdict(list)
    for node in host.topology.nodes:
        by_socket[_socket_of(node, host.topology)].append(node)
    return tuple(
        NodeGroup(f"Socket {socket}", tuple(_card(node, rooms[node.node_id], chips, loads) for node in nodes))
        for socket, nodes in sorted(by_socket.items())
    )


def _socket_of(node: HostNumaNode, topology: HostTopology) -> int:
    """Where its CPUs are; memory without CPUs belongs to the nearest node that has some."""
    sockets = {cpu.node_id: cpu.socket_id for cpu in topology.cpus}
    if node.node_id in sockets:
        return sockets[node.node_id]
    near = sorted(
        (other for other in topology.nodes if other.node_id in sockets), key=lambda o: node.distance_to(o.node_id)
    )
    return sockets[near[0].node_id] if near else 0


def _card(node: HostNumaNode, room: Room, chips: Sequence[Chip], loads: Mapping[int, float]) -> NodeCard:
    free = room.free_kib
    share = None if free is None or not room.total_kib else 1 - max(0, free) / room.total_kib
    memory, full = fmt.kib(room.total_kib), f"{fmt.kib(room.total_kib)} in all"
    if free is not None:
        memory = f"{fmt.kib_of(max(0, free), room.total_kib)} free"
        full = f"{full}, {fmt.kib(room.total_kib - free)} used, {fmt.kib(max(0, free))} free"
    pages = [f"{fmt.page_size(size)}: {max(0, left)} / {total}" for size, left, total in room.pages if total]
    load = loads.get(node.node_id)
    return NodeCard(
        node.node_id,
        f"Node {node.node_id}",
        f"CPU {_short(node.cpus)}" if node.cpus else "no CPUs",
        memory,
        full,
        share,
        tuple(f"{text} free" for text in pages) or ("no huge pages",),
        "" if load is None else f"CPUs {fmt.pct(load)} busy",
        None if load is None else min(1.0, load / 100),
        tuple(chip for chip in chips if node.node_id in chip.host_nodes),
    )


def _short(cpus: CpuSet) -> str:
    text = cpus.format()
    return text if len(text) <= 24 else f"{text[:24].rpartition(',')[0]}…"


def node_loads(host: Host, vms: Iterable[Vm], loads: Mapping[str, VmLoad]) -> dict[int, float]:
    """How busy each node's CPUs are, percent: as the host tells, else what the VMs pinned to them use."""
    told = dict(host.usage.cpu_usage_pct)
    busy: dict[int, float] = {}
    running = [vm for vm in vms if vm.host == host.name and vm.state.is_active]
    for node in host.topology.nodes:
        if not node.cpus:
            continue
        if told:
            busy[node.node_id] = sum(told.get(cpu, 0.0) for cpu in node.cpus) / len(node.cpus)
            continue
        used = 0.0
        for vm in running:
            load, cpus = loads.get(vm.uuid), vm.pinning.all_vcpu_cpus or host.topology.all_cpus
            if load is not None and cpus:
                used += load.cpu_pct * len(cpus & node.cpus) / len(cpus)
        busy[node.node_id] = min(100.0, used / len(node.cpus))
    return busy


def distances(topology: HostTopology) -> tuple[tuple[int, ...], ...]:
    """The matrix, rows and columns in the order of the nodes."""
    nodes = topology.nodes
    return tuple(tuple(node.distance_to(other.node_id) for other in nodes) for node in nodes)
