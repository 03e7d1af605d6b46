"""A host's CPUs as sockets, NUMA nodes, dies, cores and threads: who is pinned to each, how busy it is. No Qt.

What is drawn is decided here; `board_view` paints it and `arrangement` says where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostCpu
from hpconsole.core.model.vm import CpuPinning, Vm, VmLoad
from hpconsole.ui import format as fmt
from hpconsole.ui.migrate.picture import TileKind
from hpconsole.ui.pinning.threads import Thread, ThreadKind, as_mapping

_NAMED = 4  # VMs and threads named in a tip


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another VM pinned on this host. `is_exclusive`: no other pinned VM may have its CPUs."""

    name: str
    cpus: CpuSet
    is_exclusive: bool
    load_pct: float | None = None  # percent of one CPU, of the whole VM


@dataclass(frozen=True, slots=True)
class Tile:
    """One logical CPU."""

    cpu_id: int
    kind: TileKind
    label: str = ""  # the threads of the VM that are pinned to it alone or with few others
    load_share: float | None = None  # 0-1
    is_overlap: bool = False  # a helper thread on a vCPU's CPU, or a CPU that another VM has for itself
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Die:
    """The cores of one node on one die; `title` is empty where the socket has one die."""

    title: str
    cores: tuple[tuple[Tile, ...], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One NUMA node, as far as it lies on one socket."""

    node_id: int | None
    title: str
    memory: str
    dies: tuple[Die, ...]


@dataclass(frozen=True, slots=True)
class Socket:
    """One processor."""

    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One host."""

    host: str
    sockets: tuple[Socket, ...]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """Every CPU in the order in which a hand would go through them: socket, node, die, core, thread."""
        return tuple(
            tile
            for socket in self.sockets
            for node in socket.nodes
            for die in node.dies
            for core in die.cores
            for tile in core
        )


def neighbours(
    host: Host, vms: Iterable[Vm], loads: Mapping[str, VmLoad], *, without: str = ""
) -> tuple[Neighbour, ...]:
    """The pinned VMs that run on this host, apart from `without`. A pin to every CPU is none."""
    everything = host.topology.all_cpus
    found = []
    for vm in vms:
        if vm.host != host.name or not vm.state.is_active or vm.uuid == without:
            continue
        cpus = vm.pinning.all_vcpu_cpus & everything
        if cpus and cpus != everything:
            load = loads.get(vm.uuid)
            is_exclusive = vm.intent.cpu_pinning_policy.is_exclusive
            found.append(Neighbour(vm.name, cpus, is_exclusive, load.cpu_pct if load is not None else None))
    return tuple(found)


def board(host: Host, pinning: CpuPinning, others: Sequence[Neighbour]) -> Board:
    """This host with this map on it."""
    labels = _labels(pinning, host.topology.all_cpus)
    users: dict[int, list[Neighbour]] = defaultdict(list)
    for other in others:
        for cpu in other.cpus:
            users[cpu].append(other)
    loads = dict(host.usage.cpu_usage_pct)
    tiles = {cpu.cpu_id: _tile(cpu, labels, users[cpu.cpu_id], loads) for cpu in host.topology.cpus}
    memory = {usage.node_id: usage.free_kib for usage in host.usage.nodes}
    by_socket: dict[int, dict[int, list[HostCpu]]] = defaultdict(lambda: defaultdict(list))
    for online in host.topology.cpus:
        by_socket[online.socket_id][online.node_id].append(online)
    has_nodes = bool(host.topology.nodes)
    sockets = []
    for socket_id, by_node in sorted(by_socket.items()):
        is_split = len({cpu.die_id for cpus in by_node.values() for cpu in cpus}) > 1
        nodes = tuple(
            Node(
                node_id if has_nodes else None,
                f"Node {node_id}" if has_nodes else "CPUs",
                f"{fmt.kib(memory[node_id])} free" if node_id in memory else "",
                _dies(cpus, tiles, is_split=is_split),
            )
            for node_id, cpus in sorted(by_node.items())
        )
        sockets.append(Socket(f"Socket {socket_id}", nodes))
    return Board(host.name, tuple(sockets))


def _dies(cpus: Iterable[HostCpu], tiles: Mapping[int, Tile], *, is_split: bool) -> tuple[Die, ...]:
    cores: dict[int, dict[int, list[Tile]]] = defaultdict(lambda: defaultdict(list))
    for cpu in cpus:
        cores[cpu.die_id][cpu.core_id].append(tiles[cpu.cpu_id])
    return tuple(
        Die(f"Die {die_id}" if is_split else "", tuple(tuple(core) for _, core in sorted(by_core.items())))
        for die_id, by_core in sorted(cores.items())
    )


def _labels(pinning: CpuPinning, everything: CpuSet) -> dict[int, list[Thread]]:
    """The threads pinned to each CPU. Bound to every CPU is not bound."""
    labels: dict[int, list[Thread]] = defaultdict(list)
    for thread, cpus in as_mapping(pinning).items():
        if not everything or not everything <= cpus:
            for cpu in cpus:
                labels[cpu].append(thread)
    return labels


def _tile(
    cpu: HostCpu, labels: Mapping[int, list[Thread]], users: Sequence[Neighbour], loads: Mapping[int, float]
) -> Tile:
    number = cpu.cpu_id
    own = labels.get(number, [])
    vcpus = sum(1 for thread in own if thread.kind is ThreadKind.VCPU)
    is_taken = any(user.is_exclusive for user in users)
    if vcpus:
        kind = TileKind.BOTH if is_taken else TileKind.OWN
    elif own:
        kind = TileKind.HELPER
    else:
        kind = TileKind.TAKEN if is_taken else TileKind.SHARED if users else TileKind.FREE
    share = _load_share(number, users, loads)
    return Tile(
        number,
        kind,
        _label(own),
        share,
        is_overlap=bool(vcpus and len(own) > vcpus) or bool(own and is_taken) or vcpus > 1,
        tip=_tip(cpu, own, users, share),
    )


def _label(own: Sequence[Thread]) -> str:
    if len(own) == 1:
        return own[0].short
    return "" if not own else f"{own[0].short}+"


def _load_share(number: int, users: Sequence[Neighbour], loads: Mapping[int, float]) -> float | None:
    """What the host tells of this CPU; else what the VMs pinned to it use, spread evenly over their CPUs."""
    if number in loads:
        return min(1.0, loads[number] / 100)
    known = [user.load_pct / len(user.cpus) for user in users if user.load_pct is not None]
    return min(1.0, sum(known) / 100) if known else None


def _tip(cpu: HostCpu, own: Sequence[Thread], users: Sequence[Neighbour], share: float | None) -> str:
    lines = [f"CPU {cpu.cpu_id}: socket {cpu.socket_id}, node {cpu.node_id}, core {cpu.core_id}"]
    siblings = cpu.siblings - CpuSet.of([cpu.cpu_id])
    if siblings:
        lines.append(f"Shares its core with CPU {siblings.format()}")
    if own:
        first = [thread.title for thread in own[:_NAMED]]  # of thousands, only those that are named
        lines.append(f"This VM: {fmt.names(first + [''] * (len(own) - len(first)))}")
    if users:
        alone = [user.name for user in users if user.is_exclusive]
        lines.append(f"Pinned here: {fmt.names(tuple(user.name for user in users[:_NAMED]))}")
        if alone:
            lines.append(f"{alone[0]} has this CPU for itself")
    if not own and not users:
        lines.append("Nobody is pinned here")
    if share is not None:
        lines.append(f"About {fmt.pct(share * 100)} busy")
    return "\n".join(lines)


def overlaps(pinning: CpuPinning, others: Sequence[Neighbour], host: Host) -> tuple[str, ...]:
    """Sentences about what will cost performance on this host, or cannot be there at all."""
    everything = host.topology.all_cpus
    vcpus = pinning.all_vcpu_cpus
    helpers = EMPTY
    for cpus in (pinning.emulator, *(cpus for _, cpus in pinning.iothreads)):
        helpers |= cpus or EMPTY
    sentences = []
    missing = (vcpus | helpers) - everything
    if everything and missing:
        sentences.append(f"{host.name} has no CPU {_shortened(missing)}, so the VM cannot run there with this map.")
    both = vcpus & helpers
    if both:
        sentences.append(
            f"Emulator or IO threads share CPU {_shortened(both)} with vCPUs: they will interrupt each other."
        )
    doubled = _doubled(pinning)
    if doubled:
        sentences.append(f"Several vCPUs have CPU {_shortened(doubled)} as their only one: they take turns on it.")
    for other in others:
        shared = other.cpus & (vcpus | helpers)
        if shared and other.is_exclusive:
            sentences.append(f"CPU {_shortened(shared)} of {host.name} belongs to {other.name} alone.")
        elif shared:
            sentences.append(f"CPU {_shortened(shared)} of {host.name} is also used by {other.name}.")
    return tuple(sentences)


def _doubled(pinning: CpuPinning) -> CpuSet:
    once = twice = 0
    for _, cpus in pinning.vcpus:
        if cpus.bits & (cpus.bits - 1) == 0:
            twice |= once & cpus.bits
            once |= cpus.bits
    return CpuSet(twice)


def _shortened(cpus: CpuSet) -> str:
    text = cpus.format()
    return text if len(text) <= 40 else f"{text[:40].rpartition(',')[0]} …"
