"""Which CPUs and NUMA nodes does a host of the lab claim to have? Makes the sysfs files libvirt and libnuma read.

Knows the layout of /sys/devices/system/{cpu,node}; knows nothing of namespaces or daemons. CPUs are numbered as Linux
does on most machines: thread 0 of every core first, then thread 1 of every core.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

HUGE_2M_KIB = 2048
HUGE_1G_KIB = 1048576


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What a host claims: every count is per the thing named (`cores_per_node`)."""

    name: str
    sockets: int = 1
    nodes_per_socket: int = 1
    cores_per_node: int = 4
    threads: int = 1
    mib_per_node: int = 16384
    huge_2m_per_node: int = 0
    huge_1g_per_node: int = 0
    dies_per_socket: int = 1
    l3_per_node: int = 1
    keepalive_s: int = 5  # how often its libvirtd asks another one whether it lives; five silences are death

    @classmethod
    def parse(cls, text: str) -> HostSpec:
        """Read NAME=SOCKETSxNODES_PER_SOCKETxCORES_PER_NODExTHREADS[:MIB_PER_NODE[:HUGE_2M_PER_NODE]]."""
        try:
            name, _, rest = text.partition("=")
            shape, *amounts = rest.split(":")
            sockets, nodes, cores, threads = map(int, shape.split("x"))
            mib, huge = [*map(int, amounts), *(16384, 0)[len(amounts) :]]
        except ValueError:
            raise ValueError(f"{text!r} is no host: an example is a=2x1x8x2:65536:1024") from None
        return cls(name, sockets, nodes, cores, threads, mib, huge)

    @property
    def nodes(self) -> int:
        """All NUMA nodes of the host."""
        return self.sockets * self.nodes_per_socket

    @property
    def cores(self) -> int:
        """All cores of the host."""
        return self.nodes * self.cores_per_node

    @property
    def cpus(self) -> int:
        """All logical CPUs of the host."""
        return self.cores * self.threads

    def siblings(self, core: int) -> list[int]:
        """The logical CPUs of a core."""
        return [thread * self.cores + core for thread in range(self.threads)]

    def node_cores(self, node: int) -> range:
        """The cores of a node."""
        return range(node * self.cores_per_node, (node + 1) * self.cores_per_node)

    def node_cpus(self, node: int) -> list[int]:
        """The logical CPUs of a node, first threads first."""
        return sorted(cpu for core in self.node_cores(node) for cpu in self.siblings(core))

    def socket_of(self, node: int) -> int:
        """The socket a node is in."""
        return node // self.nodes_per_socket

    def distance(self, node: int, other: int) -> int:
        """ACPI SLIT distance: 10 to itself, 12 within the socket, 21 across."""
        if node == other:
            return 10
        return 12 if self.socket_of(node) == self.socket_of(other) else 21


DEFAULT_HOSTS = (
    HostSpec("a", 2, 1, 8, 2, mib_per_node=65536, huge_2m_per_node=1024),
    HostSpec("b", 2, 2, 4, 2, mib_per_node=32768, huge_2m_per_node=512),
    HostSpec("c", 1, 1, 8, 1, mib_per_node=32768),
)


def cpu_list(cpus: list[int]) -> str:
    """The kernel's list format: 0-3,8."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def cpu_mask(cpus: list[int], total: int) -> str:
    """The kernel's mask format: words of 32 bits, the highest first."""
    bits = sum(1 << cpu for cpu in cpus)
    words = [f"{bits >> (32 * word) & 0xFFFFFFFF:08x}" for word in range(max(1, -(-total // 32)))]
    return ",".join(reversed(words))


def sysfs_files(spec: HostSpec) -> dict[str, str]:
    """Path below /sys/devices/system -> content of the file."""
    everything = cpu_list(list(range(spec.cpus)))
    all_nodes = cpu_list(list(range(spec.nodes)))
    files = _folder("cpu", present=everything, online=everything, possible=everything, offline="", kernel_max=8191)
    node_kinds = ("online", "possible", "has_cpu", "has_memory", "has_normal_memory")
    files |= _folder("node", **dict.fromkeys(node_kinds, all_nodes))
    for node in range(spec.nodes):
        files |= _node_files(spec, node)
        for core in spec.node_cores(node):
            for cpu in spec.siblings(core):
                files |= _cpu_files(spec, node, core, f"cpu/cpu{cpu}")
    return files


def sysfs_links(spec: HostSpec) -> dict[str, str]:
    """Path below /sys/devices/system -> target of the symbolic link."""
    return {
        f"node/node{node}/cpu{cpu}": f"../../cpu/cpu{cpu}" for node in range(spec.nodes) for cpu in spec.node_cpus(node)
    }


def pack_sysfs(spec: HostSpec, archive: Path) -> None:
    """Write all of it as one archive for tar to unpack in memory: thousands of small files take a disk seconds."""
    with tarfile.open(archive, "w") as tar:
        for path, content in sysfs_files(spec).items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode("ascii")))
        for path, target in sysfs_links(spec).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)


def _folder(path: str, **files: object) -> dict[str, str]:
    return {f"{path}/{name}": f"{content}\n" for name, content in files.items()}


def _node_files(spec: HostSpec, node: int) -> dict[str, str]:
    folder = f"node/node{node}"
    cpus = spec.node_cpus(node)
    total_kib = spec.mib_per_node * 1024
    pools = {HUGE_2M_KIB: spec.huge_2m_per_node, HUGE_1G_KIB: spec.huge_1g_per_node}
    free_kib = total_kib * 9 // 10 - sum(size * count for size, count in pools.items())
    meminfo = {
        "MemTotal": f"{total_kib} kB",
        "MemFree": f"{free_kib} kB",
        "MemUsed": f"{total_kib - free_kib} kB",
        "HugePages_Total": spec.huge_2m_per_node,
        "HugePages_Free": spec.huge_2m_per_node,
        "HugePages_Surp": 0,
    }
    files = _folder(
        folder,
        cpumap=cpu_mask(cpus, spec.cpus),
        cpulist=cpu_list(cpus),
        distance=" ".join(str(spec.distance(node, other)) for other in range(spec.nodes)),
        meminfo="\n".join(f"Node {node} {name}: {value}" for name, value in meminfo.items()),
    )
    for size_kib, count in pools.items():
        pool = f"{folder}/hugepages/hugepages-{size_kib}kB"
        files |= _folder(pool, nr_hugepages=count, free_hugepages=count, surplus_hugepages=0)
    return files


def _cpu_files(spec: HostSpec, node: int, core: int, folder: str) -> dict[str, str]:
    socket = spec.socket_of(node)
    socket_nodes = range(socket * spec.nodes_per_socket, (socket + 1) * spec.nodes_per_socket)
    socket_cpus = sorted(cpu for member in socket_nodes for cpu in spec.node_cpus(member))
    siblings = spec.siblings(core)
    core_in_socket = core - socket_nodes.start * spec.cores_per_node
    cores_per_die = spec.nodes_per_socket * spec.cores_per_node // spec.dies_per_socket
    files = _folder(folder, online=1)
    files |= _folder(
        f"{folder}/topology",
        physical_package_id=socket,
        die_id=core_in_socket // cores_per_die,
        cluster_id=-1,
        core_id=core_in_socket,
        thread_siblings=cpu_mask(siblings, spec.cpus),
        thread_siblings_list=cpu_list(siblings),
        core_siblings=cpu_mask(socket_cpus, spec.cpus),
        core_siblings_list=cpu_list(socket_cpus),
    )
    cores_per_l3 = spec.cores_per_node // spec.l3_per_node
    l3 = core // cores_per_l3
    sharing = [cpu for sharer in range(l3 * cores_per_l3, (l3 + 1) * cores_per_l3) for cpu in spec.siblings(sharer)]
    caches = (
        (0, 1, "Data", "32K", core, siblings),
        (1, 1, "Instruction", "32K", core, siblings),
        (2, 2, "Unified", "1024K", core, siblings),
        (3, 3, "Unified", "16384K", l3, sharing),
    )
    for index, level, kind, size, number, users in caches:
        cache = f"{folder}/cache/index{index}"
        files |= _folder(cache, level=level, type=kind, size=size, id=number, shared_cpu_list=cpu_list(users))
        files |= _folder(cache, shared_cpu_map=cpu_mask(users, spec.cpus), coherency_line_size=64)
    return files
