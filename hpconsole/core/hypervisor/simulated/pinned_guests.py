"""Pinned and high-performance VMs from one line each: which cores they take, and what they are meant to have.

The first core of every node is left to the host: emulator and IO threads run there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum

from hpconsole.core.hypervisor.intent_xml import format_intent
from hpconsole.core.hypervisor.simulated.guests import GuestModel, GuestNode
from hpconsole.core.hypervisor.simulated.machines import GIB, HostModel
from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, NumaMode, NumaPin, OptimizedFor, VmIntent


class Pinning(Enum):
    """How the vCPUs of a simulated VM are pinned now."""

    FREE = "not at all"
    THREADS = "one vCPU to each thread of its own cores"
    CORES = "one vCPU to a core of its own"
    NODE = "each vCPU to all CPUs of its node, as an automatic pinning does"


@dataclass(frozen=True, slots=True)
class Line:
    """One VM of a table. `nodes`: the host node of each virtual node."""

    name: str
    host: str
    vcpus: int
    gib: int
    nodes: tuple[int, ...]
    pinning: Pinning
    policy: CpuPinningPolicy = CpuPinningPolicy.KEEP_SHAPE
    page_kib: int | None = None
    optimized_for: OptimizedFor = OptimizedFor.HIGH_PERFORMANCE
    migration_mode: MigrationMode = MigrationMode.MANUAL
    allowed_hosts: tuple[str, ...] = ()
    cpus: str = ""  # instead of the next free cores: a literal list, one CPU for each vCPU
    numa_mode: NumaMode = NumaMode.STRICT
    has_virtual_nodes: bool = True
    is_bound: bool = True  # its memory is, to its nodes
    is_stored: bool = True  # hpconsole wrote its intent; otherwise other tools made the VM
    is_passthrough: bool = True
    iothreads: int = 0
    networks: tuple[str, ...] = ("prod",)
    high_availability: bool = False
    is_running: bool = True


class CoreBoard:
    """Which cores of one host are still free."""

    def __init__(self, model: HostModel) -> None:
        self.model = model
        self._free = [list(cores[1:]) for cores in model.node_cores]

    def house(self, node: int) -> CpuSet:
        """The core of this node that is left to the host."""
        return self.model.node_cores[node][0]

    def take_threads(self, node: int, count: int) -> list[CpuSet]:
        """One CPU for each vCPU, whole cores at a time."""
        cpus: list[CpuSet] = []
        while len(cpus) < count:
            cpus += [CpuSet.of([cpu]) for cpu in self._take(node)]
        return cpus[:count]

    def take_cores(self, node: int, count: int) -> list[CpuSet]:
        """The first CPU of one core for each vCPU."""
        return [CpuSet.of([self._take(node).first]) for _ in range(count)]

    def take(self, cpus: CpuSet) -> None:
        """Take the cores of these CPUs.

        Raises:
            ValueError: one of them is not free.
        """
        for node, cores in enumerate(self._free):
            wanted = [core for core in cores if not core.isdisjoint(cpus)]
            self._free[node] = [core for core in cores if core not in wanted]
            for core in wanted:
                cpus -= core
        if cpus:
            raise ValueError(f"{self.model.name}: CPUs {cpus.format()} are taken or not there")

    def _take(self, node: int) -> CpuSet:
        if not self._free[node]:
            raise ValueError(f"{self.model.name}: no core is left on node {node}")
        return self._free[node].pop(0)


def guest_uuid(seed: int, name: str) -> str:
    """The UUID of a simulated VM: follows from the seed and its name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{seed}.vm.simulated"))


def pinned_guest(line: Line, board: CoreBoard, seed: int) -> GuestModel:
    """The VM of this line, on cores that are then taken."""
    pins = _pins(line, board)
    smt = board.model.shape.threads
    has_pairs = line.pinning is Pinning.THREADS and smt > 1 and line.vcpus % smt == 0
    house = board.house(line.nodes[0]) if pins and line.pinning is not Pinning.NODE else EMPTY
    return GuestModel(
        name=line.name,
        uuid=guest_uuid(seed, line.name),
        vcpus=line.vcpus,
        memory_kib=line.gib * GIB,
        threads=smt if has_pairs else 1,
        nodes=_virtual_nodes(line),
        memory_nodes=CpuSet.of(line.nodes) if line.is_bound and not line.has_virtual_nodes else EMPTY,
        page_kib=line.page_kib,
        vcpu_pins=tuple(pins),
        emulator_pin=house,
        iothreads=line.iothreads,
        iothread_pins=(house,) * line.iothreads if house else (),
        cpu_mode="host-passthrough" if line.is_passthrough else "custom",
        networks=line.networks,
        metadata=format_intent(_intent(line, pins)) if line.is_stored else "",
        is_running=line.is_running,
    )


def _pins(line: Line, board: CoreBoard) -> list[CpuSet]:
    each = line.vcpus // len(line.nodes)
    if line.cpus:
        cpus = CpuSet.parse(line.cpus)
        board.take(cpus)
        return [CpuSet.of([cpu]) for cpu in cpus]
    if line.pinning is Pinning.FREE:
        return []
    pins: list[CpuSet] = []
    for node in line.nodes:
        if line.pinning is Pinning.THREADS:
            pins += board.take_threads(node, each)
        elif line.pinning is Pinning.CORES:
            pins += board.take_cores(node, each)
        else:
            pins += [board.model.node_cpus[node]] * each
    return pins


def _virtual_nodes(line: Line) -> tuple[GuestNode, ...]:
    if not line.has_virtual_nodes:
        return ()
    each = line.vcpus // len(line.nodes)
    return tuple(
        GuestNode(
            vcpus=CpuSet.of(range(i * each, (i + 1) * each)),
            memory_kib=line.gib * GIB // len(line.nodes),
            host_nodes=CpuSet.of([node]) if line.is_bound else EMPTY,
            mode=line.numa_mode.value,
        )
        for i, node in enumerate(line.nodes)
    )


def _intent(line: Line, pins: list[CpuSet]) -> VmIntent:
    """Literal where the policy is literal; otherwise any nodes and CPUs that have the same shape will do."""
    is_literal = line.policy in (CpuPinningPolicy.MANUAL, CpuPinningPolicy.NONE)
    numa_pins = tuple(NumaPin(i, (node,) if is_literal else (), line.numa_mode) for i, node in enumerate(line.nodes))
    is_manual = line.policy is CpuPinningPolicy.MANUAL
    return VmIntent(
        optimized_for=line.optimized_for,
        migration_mode=line.migration_mode,
        allowed_hosts=line.allowed_hosts,
        cpu_pinning_policy=line.policy,
        cpu_pinning=tuple(enumerate(pins)) if is_manual else (),
        numa_pins=numa_pins if line.has_virtual_nodes and line.is_bound else (),
        high_availability=line.high_availability,
        is_stored=True,
    )
