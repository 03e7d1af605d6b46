"""Random tiny cases for the comparison with brute force: awkward hosts, awkward VMs, reproducible by seed."""

from __future__ import annotations

from random import Random

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import (
    CacheBank,
    Host,
    HostCpu,
    HostDevices,
    HostNumaNode,
    HostTopology,
    PciDevice,
)
from hpconsole.core.model.vm import (
    AssignedDevice,
    CpuPinning,
    CpuPinningPolicy,
    NumaMode,
    NumaPin,
    NumaTune,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmDevices,
    VmIntent,
    VmState,
)
from hpconsole.core.scheduler.occupancy import Occupancy
from tests.core.scheduler.brute_force import Case

PAGE = 2048
MODES = (
    NumaMode.STRICT,
    NumaMode.STRICT,
    NumaMode.STRICT,
    NumaMode.INTERLEAVE,
    NumaMode.PREFERRED,
    NumaMode.RESTRICTIVE,
)


def random_topology(rng: Random, *, most_nodes: int = 4, most_cpus: int = 10) -> HostTopology:
    """Nodes of different sizes, mixed core widths, several cache banks, CPU and node numbers with holes."""
    count = rng.randint(1, most_nodes)
    ids = sorted(rng.sample(range(6), count)) if rng.random() < 0.3 else list(range(count))
    width = rng.choice([1, 2, 2])
    mixed = rng.random() < 0.15
    numbers = list(range(24))
    if rng.random() < 0.6:
        rng.shuffle(numbers)
    per_socket = rng.choice([1, 1, 2])
    uniform = rng.random() < 0.3
    distance: dict[tuple[int, int], int] = {}
    for a in ids:
        for b in ids:
            both = rng.choice([11, 12, 20, 21, 32])
            distance[a, b] = 10 if a == b else 21 if uniform else distance.get((b, a), both)
    cpus: list[HostCpu] = []
    nodes: list[HostNumaNode] = []
    banks: list[CacheBank] = []
    for position, node_id in enumerate(ids):
        cores = 0 if rng.random() < 0.08 else rng.randint(1, 3)
        own: list[int] = []
        parts: list[list[int]] = [[], []]
        split = rng.random() < 0.4
        for core in range(cores):
            size = rng.choice([1, 2]) if mixed else width
            if len(cpus) + size > most_cpus:
                break
            here = [numbers.pop() for _ in range(size)]
            siblings = CpuSet.of(here)
            cpus += [HostCpu(cpu, node_id, position // per_socket, 0, core, siblings) for cpu in here]
            own += here
            parts[rng.randrange(2) if split else 0] += here
        banks += [CacheBank(3, 1024, CpuSet.of(part)) for part in parts if part and rng.random() < 0.95]
        distances = tuple((other, distance[node_id, other]) for other in ids)
        nodes.append(HostNumaNode(node_id, 64, CpuSet.of(own), distances))
    return HostTopology(tuple(sorted(cpus, key=lambda cpu: cpu.cpu_id)), tuple(nodes), tuple(banks))


def random_occupancy(rng: Random, topology: HostTopology) -> Occupancy:
    """A host with some memory and pages free, some CPUs taken or isolated."""
    load = rng.choice([0.0, 0.15, 0.35])
    online = [cpu.cpu_id for cpu in topology.cpus]
    exclusive = CpuSet.of(cpu for cpu in online if rng.random() < load)
    shared = CpuSet.of(cpu for cpu in online if rng.random() < load / 3)
    isolated = CpuSet.of(cpu for cpu in online if rng.random() < 0.15) if rng.random() < 0.2 else EMPTY
    ids = [node.node_id for node in topology.nodes]
    devices = HostDevices(pci=tuple(PciDevice(f"dev-{i}", rng.choice([*ids, None])) for i in range(2)))
    rich = rng.random() < 0.5
    return Occupancy(
        host=Host("host-b", topology=topology, isolated_cpus=isolated, devices=devices),
        free_kib={i: rng.randint(4, 12) if rich else rng.randint(0, 8) for i in ids if rng.random() < 0.97},
        free_pages={i: {PAGE: rng.randint(0, 8)} for i in ids},
        exclusive=exclusive,
        shared=shared - exclusive,
    )


def random_vm(rng: Random, source: HostTopology, target: HostTopology) -> Vm:
    """A VM of any policy, pinned somehow on `source`."""
    policy = rng.choice(
        [CpuPinningPolicy.NONE, CpuPinningPolicy.MANUAL, CpuPinningPolicy.DEDICATED, CpuPinningPolicy.DEDICATED,
         CpuPinningPolicy.ISOLATE_THREADS, CpuPinningPolicy.KEEP_SHAPE, CpuPinningPolicy.KEEP_SHAPE]
    )  # fmt: skip
    threads = rng.choice([1, 1, 2]) if policy is CpuPinningPolicy.DEDICATED else 1
    vcpus = rng.randint(1, 4) * (threads if rng.random() < 0.9 else 1)
    vcpus = min(vcpus, 5)
    exclusive = policy in (CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS)
    count = rng.choice([0, 1, 2, 2, 3])
    if policy in (CpuPinningPolicy.NONE, CpuPinningPolicy.MANUAL):
        count = max(1, count)
    pinning = _random_pinning(rng, vcpus, source, policy)
    nodes = _random_nodes(rng, count, vcpus, threads, source)
    if policy is CpuPinningPolicy.KEEP_SHAPE and nodes and rng.random() < 0.7:
        nodes = _beside_cpus(nodes, pinning, source)
    targets = [node.node_id for node in target.nodes]
    pins: list[NumaPin] = []
    for node in nodes:
        if rng.random() < 0.6:
            lists = rng.sample(targets, rng.randint(1, len(targets))) if rng.random() < 0.5 else []
            pins.append(NumaPin(node.node_id, tuple(lists), rng.choice(MODES)))
    literal: tuple[tuple[int, CpuSet], ...] = ()
    if policy is CpuPinningPolicy.MANUAL:
        online = [cpu.cpu_id for cpu in target.cpus] or [0]
        literal = tuple((v, CpuSet.of(rng.sample(online, rng.randint(1, min(2, len(online)))))) for v in range(vcpus))
    sockets = max(1, rng.choice([1, 1, vcpus // threads, 2]))
    topology = VcpuTopology(sockets, max(1, -(-vcpus // threads // max(1, sockets))), threads)
    if rng.random() < 0.1:
        topology = VcpuTopology(1, 1, threads)
    tune = None
    if exclusive and not nodes and rng.random() < 0.3:
        tune = NumaTune(rng.choice([NumaMode.STRICT, NumaMode.PREFERRED]), CpuSet.of([0]))
    return Vm(
        uuid="vm-1",
        name="vm-1",
        host="host-a",
        state=VmState.RUNNING,
        vcpus=vcpus,
        topology=topology,
        memory_kib=rng.randint(1, 12),
        virtual_nodes=nodes,
        numa_tune=tune,
        pinning=pinning,
        devices=VmDevices(assigned=tuple(AssignedDevice("pci", f"dev-{i}") for i in range(2) if rng.random() < 0.2)),
        intent=VmIntent(cpu_pinning_policy=policy, numa_pins=tuple(pins), cpu_pinning=literal),
    )


def _random_nodes(
    rng: Random, count: int, vcpus: int, threads: int, source: HostTopology
) -> tuple[VirtualNumaNode, ...]:
    owners = [rng.randrange(count) for _ in range(-(-vcpus // threads))] if count else []
    ids = [node.node_id for node in source.nodes]
    nodes: list[VirtualNumaNode] = []
    equal = rng.random() < 0.4
    amount = rng.randint(1, 4)
    for i in range(count):
        own = CpuSet.of(v for v in range(vcpus) if owners[v // threads] == i)
        huge = rng.random() < 0.3
        size = amount if equal else rng.randint(0, 5)
        live = rng.sample(ids, min(len(ids), rng.choice([0, 1, 1, 1, 2])))
        nodes.append(
            VirtualNumaNode(
                i, own, size * PAGE if huge else size, tuple(live), rng.choice(MODES), PAGE if huge else None
            )
        )
    return tuple(nodes)


def _beside_cpus(
    nodes: tuple[VirtualNumaNode, ...], pinning: CpuPinning, source: HostTopology
) -> tuple[VirtualNumaNode, ...]:
    """The virtual nodes bound where their vCPUs are, as real VMs are."""
    result: list[VirtualNumaNode] = []
    for node in nodes:
        used = {
            here.node_id
            for vcpu, cpus in pinning.vcpus
            if vcpu in node.vcpus
            for here in source.nodes
            if not here.cpus.isdisjoint(cpus)
        }
        live = tuple(sorted(used))[:1] or node.host_nodes
        result.append(VirtualNumaNode(node.node_id, node.vcpus, node.memory_kib, live, node.mode, node.page_kib))
    return tuple(result)


def _random_pinning(rng: Random, vcpus: int, source: HostTopology, policy: CpuPinningPolicy) -> CpuPinning:
    online = [cpu.cpu_id for cpu in source.cpus]
    if not online or (policy is not CpuPinningPolicy.KEEP_SHAPE and rng.random() < 0.3):
        return CpuPinning()
    style = rng.choice(["one", "one", "one", "sets", "pairs", "core", "node"])
    cpus = rng.sample(online, min(len(online), vcpus))
    pairs: list[tuple[int, CpuSet]] = []
    for vcpu in range(vcpus):
        own = CpuSet.of([cpus[vcpu % len(cpus)]])
        if style == "sets":
            own = CpuSet.of(cpus[: rng.randint(1, min(2, len(cpus)))])
        elif style == "pairs":
            here = next(node.cpus for node in source.nodes if cpus[0] in node.cpus)
            own = CpuSet.of(list(here)[vcpu // 2 * 2 % len(here) :][:2])
        elif style == "core":
            own = next(cpu.siblings for cpu in source.cpus if cpu.cpu_id == own.first)
        elif style == "node" and rng.random() < 0.6:
            own = next(node.cpus for node in source.nodes if own <= node.cpus)
        pairs.append((vcpu, own))
    return CpuPinning(tuple(pairs))


def random_case(seed: int) -> Case:
    """The case of this number."""
    rng = Random(seed)
    target = random_topology(rng)
    source = target if rng.random() < 0.4 else random_topology(rng, most_cpus=6)
    if not source.cpus:
        source = random_topology(Random(seed + 1), most_cpus=6)
    taken = random_occupancy(rng, target)
    return Case(random_vm(rng, source, target), taken, source)
