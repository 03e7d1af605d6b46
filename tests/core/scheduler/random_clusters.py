"""Random clusters for comparisons: machines of every shape, loads, and VMs pinned in every way. Seeded."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host, HostNumaNode, HostTopology, NodeUsage
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    CpuPinning,
    CpuPinningPolicy,
    NumaMode,
    NumaPin,
    NumaTune,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
)
from tests.builders import MIB, a_host, a_snapshot, a_topology, a_vm

GIB = 1024 * MIB


def topology(random: Random) -> HostTopology:
    """One to eight nodes, one or two threads a core; some with holes, offline CPUs, nodes without CPUs or memory."""
    made = a_topology(
        sockets=random.choice([1, 2, 2, 4]),
        nodes_per_socket=random.choice([1, 1, 2]),
        cores_per_node=random.choice([2, 3, 4]),
        threads=random.choice([1, 2]),
        mib_per_node=random.choice([4096, 8192]),
        huge_2m=random.choice([0, 512, 1024]),
    )
    if random.random() < 0.2:
        made = without_cpus(made, CpuSet.of(random.sample(range(len(made.cpus)), k=min(2, len(made.cpus) - 1))))
    if random.random() < 0.15:
        made = with_empty_node(made)
    return made


def without_cpus(made: HostTopology, gone: CpuSet) -> HostTopology:
    """Some CPUs offline."""
    cpus = tuple(replace(c, siblings=c.siblings - gone) for c in made.cpus if c.cpu_id not in gone)
    nodes = tuple(replace(node, cpus=node.cpus - gone) for node in made.nodes)
    return replace(made, cpus=cpus, nodes=nodes, threads=len(cpus))


def with_empty_node(made: HostTopology) -> HostTopology:
    """One more node, numbered with a gap: memory without CPUs."""
    node = HostNumaNode(made.nodes[-1].node_id + 2, 4 * GIB, EMPTY, (), ())
    return replace(made, nodes=(*made.nodes, node))


def host(random: Random, name: str, made: HostTopology) -> Host:
    """A host with random free memory and pages."""
    nodes = tuple(
        NodeUsage(
            node.node_id,
            free_kib=random.choice([0, 256 * MIB, GIB, 2 * GIB, 3 * GIB, node.memory_kib // 2]),
            free_pages=tuple((size, random.randint(0, count)) for size, count in node.page_totals),
            total_pages=node.page_totals,
        )
        for node in made.nodes
    )
    base = a_host(name, topology=made)
    isolated = EMPTY
    if random.random() < 0.15 and made.cpus:
        isolated = CpuSet.of([made.cpus[-1].cpu_id])
    usage = replace(base.usage, nodes=nodes, memory_free_kib=sum(node.free_kib for node in nodes))
    return replace(base, usage=usage, isolated_cpus=isolated)


def neighbour(random: Random, name: str, on: Host) -> Vm:
    """A pinned VM that already runs there."""
    cpus = [cpu.cpu_id for cpu in on.topology.cpus]
    count = random.randint(1, max(1, len(cpus) // 3))
    chosen = random.sample(cpus, k=min(count, len(cpus)))
    policy = random.choice(
        [
            CpuPinningPolicy.KEEP_SHAPE,
            CpuPinningPolicy.DEDICATED,
            CpuPinningPolicy.ISOLATE_THREADS,
            CpuPinningPolicy.MANUAL,
        ]
    )
    pinning = CpuPinning(vcpus=tuple((i, CpuSet.of([cpu])) for i, cpu in enumerate(chosen)))
    intent = VmIntent(cpu_pinning_policy=policy, cpu_pinning=pinning.vcpus if policy is CpuPinningPolicy.MANUAL else ())
    return a_vm(name, host=on.name, vcpus=len(chosen), memory_mib=64, pinning=pinning, intent=intent)


def virtual_nodes(random: Random, vcpus: int, host_nodes: list[int]) -> tuple[VirtualNumaNode, ...]:
    """Up to four virtual nodes, equal or not, bound now or not."""
    count = random.choice([1, 2, 2, 3, 4])
    count = min(count, vcpus)
    equal = random.random() < 0.6
    size = random.choice([128 * MIB, 512 * MIB, GIB])
    page = random.choice([None, None, 2048])
    mode = random.choice([NumaMode.STRICT, NumaMode.STRICT, NumaMode.INTERLEAVE, NumaMode.PREFERRED])
    nodes = []
    cuts = sorted(random.sample(range(1, vcpus), k=count - 1)) if not equal and count > 1 else []
    edges = [0, *cuts, vcpus] if not equal else [vcpus * i // count for i in range(count + 1)]
    for i in range(count):
        pins: tuple[int, ...] = ()
        if random.random() < 0.7 and host_nodes:
            pins = tuple(random.sample(host_nodes, k=random.choice([1, 1, 1, min(2, len(host_nodes))])))
        nodes.append(
            VirtualNumaNode(
                node_id=i,
                vcpus=CpuSet.of(range(edges[i], edges[i + 1])),
                memory_kib=size if equal else random.choice([128, 512, 1024, 1536]) * MIB,
                host_nodes=pins,
                mode=mode,
                page_kib=page,
            )
        )
    return tuple(nodes)


def vm(random: Random, source: Host | None) -> Vm:
    """A VM of any policy, running on `source` or not running."""
    threads = random.choice([1, 1, 2])
    sockets = random.choice([1, 1, 2])
    cores = random.choice([1, 2, 3])
    shape = VcpuTopology(sockets=sockets, cores=cores, threads=threads)
    vcpus = shape.vcpus
    policy = random.choice(list(CpuPinningPolicy))
    node_ids = [node.node_id for node in source.topology.nodes] if source else [0, 1]
    nodes = virtual_nodes(random, vcpus, node_ids) if random.random() < 0.75 else ()
    pinning = CpuPinning()
    cpus = [cpu.cpu_id for cpu in source.topology.cpus] if source else list(range(4))
    if (
        policy in (CpuPinningPolicy.KEEP_SHAPE, CpuPinningPolicy.MANUAL)
        and len(cpus) >= vcpus
        and random.random() < 0.8
    ):
        pinning = CpuPinning(vcpus=tuple((i, CpuSet.of([c])) for i, c in enumerate(random.sample(cpus, k=vcpus))))
    pins: tuple[NumaPin, ...] = ()
    if nodes and random.random() < 0.4:
        pins = tuple(
            NumaPin(n.node_id, random.choice([(), (), tuple(random.sample(node_ids, k=1))]), n.mode) for n in nodes
        )
    tune = None
    if random.random() < 0.1:
        tune = NumaTune(NumaMode.STRICT, CpuSet.of(random.sample(node_ids, k=1)))
    intent = VmIntent(
        cpu_pinning_policy=policy,
        cpu_pinning=pinning.vcpus if policy is CpuPinningPolicy.MANUAL else (),
        numa_pins=pins,
    )
    return a_vm(
        "the-vm",
        host=source.name if source else None,
        vcpus=vcpus,
        memory_mib=sum(n.memory_kib for n in nodes) // MIB or 256,
        topology=shape,
        virtual_nodes=nodes,
        numa_tune=tune,
        huge_page_kib=2048 if nodes and nodes[0].page_kib else None,
        pinning=pinning,
        intent=intent,
    )


def cluster(seed: int, hosts: int = 6) -> tuple[ClusterSnapshot, Vm]:
    """A snapshot and a VM of it that is to be placed."""
    random = Random(seed)
    models = [topology(random) for _ in range(3)]
    made = [host(random, f"host-{i}", random.choice(models)) for i in range(hosts)]
    neighbours = [
        neighbour(random, f"neighbour-{i}-{one.name}", one)
        for one in made
        for i in range(random.choice([0, 0, 1, 2]))
        if one.topology.cpus
    ]
    wanted = vm(random, random.choice([None, made[0], made[0]]))
    return a_snapshot(made, [*neighbours, wanted]), wanted
