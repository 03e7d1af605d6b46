"""The demo's shop: 12 hosts of four topologies, 120 VMs of which 30 are high-performance or pinned.

Chosen so that `trade-engine-1` has several suitable hosts and several unsuitable ones, each for another reason, and so
that every important refusal occurs somewhere. The scripted tour and its tests rely on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.loads import fractions
from hpconsole.core.hypervisor.simulated.machines import GIB, PAGE_1G, PAGE_2M, Generation, HostModel, MachineShape
from hpconsole.core.hypervisor.simulated.pinned_guests import CoreBoard, Line, Pinning, guest_uuid, pinned_guest
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, NumaMode, OptimizedFor

TWO_NODES = MachineShape(2, 1, 16, 2, gib_per_node=256, l3_mib=24)
FOUR_NODES = MachineShape(2, 2, 12, 2, gib_per_node=192, l3_mib=18)
ONE_NODE = MachineShape(1, 1, 32, 1, gib_per_node=256, l3_mib=48)
EIGHT_NODES = MachineShape(2, 4, 8, 2, siblings_adjacent=True, gib_per_node=128, l3_mib=16, cores_per_l3=4)

_CLX, _ICX, _SPR = Generation.CASCADE_LAKE, Generation.ICE_LAKE, Generation.SAPPHIRE_RAPIDS
_PLAIN_NETWORKS = ("default", "prod", "storage")
_ALL_NETWORKS = (*_PLAIN_NETWORKS, "market")


def _newer(model: HostModel) -> HostModel:
    """The same with a newer libvirt and QEMU."""
    return replace(model, libvirt_version=10_000_000, hypervisor_version=8_002_002)


HOSTS: tuple[HostModel, ...] = (
    HostModel("host-01", TWO_NODES, _ICX, 32_768, 32, networks=_ALL_NETWORKS),
    HostModel("host-02", TWO_NODES, _ICX, 32_768, 32, networks=_ALL_NETWORKS),
    # Nearly full: node 1 has one core left.
    HostModel("host-03", TWO_NODES, _ICX, 32_768, 32, networks=_ALL_NETWORKS),
    # Older processors: whoever started on a newer host with its CPU passed through cannot come here.
    HostModel("host-04", FOUR_NODES, _CLX, 16_384, 64, networks=_ALL_NETWORKS),
    HostModel("host-05", FOUR_NODES, _ICX, 16_384, 64, networks=_ALL_NETWORKS),
    HostModel("host-06", FOUR_NODES, _CLX, 16_384, 64, networks=_PLAIN_NETWORKS),
    HostModel("host-07", ONE_NODE, _ICX, 32_768, 0, networks=_ALL_NETWORKS),
    # No huge pages; and its memory is nearly full.
    HostModel("host-08", ONE_NODE, _ICX, networks=_ALL_NETWORKS),
    HostModel("host-09", ONE_NODE, _CLX, networks=_PLAIN_NETWORKS),
    HostModel("host-10", EIGHT_NODES, _SPR, 16_384, 16, networks=_ALL_NETWORKS),
    # All huge pages are taken; CPU 101 is offline; newer libvirt and QEMU than anywhere else.
    _newer(HostModel("host-11", EIGHT_NODES, _SPR, 4_096, 0, offline_cpus=CpuSet.of([101]))),
    HostModel("host-12", EIGHT_NODES, _SPR, 16_384, 32, networks=_ALL_NETWORKS),
)

_NONE, _MANUAL = CpuPinningPolicy.NONE, CpuPinningPolicy.MANUAL
_DEDICATED, _ISOLATE = CpuPinningPolicy.DEDICATED, CpuPinningPolicy.ISOLATE_THREADS
_SERVER = OptimizedFor.SERVER
_THREADS, _CORES, _NODE, _FREE = Pinning.THREADS, Pinning.CORES, Pinning.NODE, Pinning.FREE
_MARKET = ("prod", "market")

PINNED: tuple[Line, ...] = (
    Line("db-pg-01", "host-01", 8, 64, (0, 1), _THREADS, page_kib=PAGE_2M, iothreads=2, high_availability=True),
    Line("cache-redis-1", "host-01", 4, 16, (0,), _THREADS, _DEDICATED, has_virtual_nodes=False, is_bound=False),
    Line("oracle-fin-1", "host-01", 8, 32, (1,), _CORES, _ISOLATE, has_virtual_nodes=False, is_bound=False),
    Line("trade-engine-1", "host-02", 8, 16, (0, 1), _THREADS, page_kib=PAGE_2M, iothreads=1, networks=_MARKET),
    Line("kafka-1", "host-02", 8, 32, (1,), _NODE, _NONE, optimized_for=_SERVER, is_passthrough=False),
    Line("voip-sbc-1", "host-02", 4, 8, (0,), _CORES, _MANUAL, optimized_for=_SERVER, is_passthrough=False),
    Line("db-pg-02", "host-03", 30, 48, (1,), _THREADS, page_kib=PAGE_2M, iothreads=2, high_availability=True),
    Line("db-pg-03", "host-03", 16, 32, (0,), _THREADS, _DEDICATED, has_virtual_nodes=False, is_bound=False),
    Line(
        "sap-hana-1",
        "host-04",
        88,
        256,
        (0, 1, 2, 3),
        _THREADS,
        page_kib=PAGE_1G,
        iothreads=1,
        migration_mode=MigrationMode.DO_NOT_MIGRATE,
        allowed_hosts=("host-04",),
    ),
    Line(
        "sap-hana-2",
        "host-06",
        44,
        128,
        (0, 1),
        _THREADS,
        page_kib=PAGE_1G,
        iothreads=1,
        allowed_hosts=("host-04", "host-06"),
        high_availability=True,
    ),
    Line("sap-app-1", "host-06", 8, 32, (2,), _NODE, _NONE, optimized_for=_SERVER, is_passthrough=False),
    Line("sap-app-2", "host-06", 8, 32, (3,), _NODE, _NONE, is_passthrough=False, is_stored=False),
    Line("trade-risk-1", "host-05", 8, 16, (0, 1), _THREADS, page_kib=PAGE_2M, iothreads=1, networks=_MARKET),
    Line("trade-feed-1", "host-05", 4, 8, (2,), _CORES, _ISOLATE, page_kib=PAGE_2M, is_bound=False, networks=_MARKET),
    Line(
        "batch-risk-1",
        "host-05",
        12,
        48,
        (3,),
        _NODE,
        _NONE,
        numa_mode=NumaMode.INTERLEAVE,
        optimized_for=_SERVER,
        is_passthrough=False,
    ),
    Line("nfv-router-1", "host-07", 8, 16, (0,), _THREADS, _MANUAL, page_kib=PAGE_2M, cpus="4-11"),
    Line("nfv-router-2", "host-07", 8, 16, (0,), _THREADS, page_kib=PAGE_2M, is_stored=False),
    # Writes memory faster than the link carries: its migration needs help to converge.
    Line("ml-train-1", "host-08", 16, 48, (0,), _THREADS, _DEDICATED, has_virtual_nodes=False, is_bound=False),
    Line("media-enc-1", "host-09", 8, 16, (0,), _FREE, _NONE, has_virtual_nodes=False, is_bound=False),
    Line("trade-engine-2", "host-10", 8, 16, (0, 1), _THREADS, page_kib=PAGE_2M, iothreads=1, networks=_MARKET),
    Line("db-pg-04", "host-10", 12, 32, (2, 3), _THREADS, page_kib=PAGE_2M, iothreads=1),
    Line("oracle-fin-2", "host-10", 48, 64, (4, 5, 6, 7), _THREADS, page_kib=PAGE_2M, iothreads=2),
    Line("db-pg-05", "host-11", 32, 64, (0, 1, 2, 3, 4, 5, 6, 7), _THREADS, page_kib=PAGE_2M, iothreads=1),
    Line("nfv-fw-1", "host-11", 4, 8, (7,), _CORES, _MANUAL, cpus="124-127", optimized_for=_SERVER),
    # A literal map that no other host can serve: 100-103 do not exist, are taken (host-10), or have a hole (host-11).
    Line(
        "voip-sbc-2",
        "host-12",
        4,
        8,
        (6,),
        _CORES,
        _MANUAL,
        cpus="100-103",
        optimized_for=_SERVER,
        is_passthrough=False,
    ),
    Line(
        "cache-redis-2",
        "host-12",
        4,
        16,
        (0,),
        _THREADS,
        _DEDICATED,
        has_virtual_nodes=False,
        is_bound=False,
        is_passthrough=False,
    ),
    Line("trade-gw-1", "host-12", 2, 8, (2,), _NODE, _NONE, numa_mode=NumaMode.PREFERRED, networks=_MARKET),
    Line(
        "build-hpc-1",
        "host-12",
        16,
        64,
        (4, 5),
        _NODE,
        _NONE,
        numa_mode=NumaMode.RESTRICTIVE,
        is_stored=False,
    ),
    Line("db-pg-06", "host-12", 8, 32, (3,), _THREADS, page_kib=PAGE_2M, is_running=False),
    Line("db-pg-07", "host-01", 4, 16, (0,), _THREADS, page_kib=PAGE_2M, migration_mode=MigrationMode.AUTOMATIC),
)

# Role, how many, and the vCPUs and GiB each may have.
_ROLES: tuple[tuple[str, int, tuple[int, ...], tuple[int, ...]], ...] = (
    ("web", 24, (2, 4), (4, 8)),
    ("app", 16, (4, 8), (8, 16)),
    ("build", 10, (8,), (16, 32)),
    ("test", 14, (1, 2, 4), (2, 4, 8)),
    ("desktop", 10, (2, 4), (4, 8)),
    ("db-dev", 4, (4,), (16,)),
)
_SINGLES: tuple[tuple[str, int, int], ...] = (
    ("mail-1", 4, 16),
    ("ldap-1", 2, 4),
    ("ldap-2", 2, 4),
    ("dns-1", 1, 2),
    ("dns-2", 1, 2),
    ("gitlab-1", 8, 32),
    ("jira-1", 4, 16),
    ("grafana-1", 2, 8),
    ("proxy-1", 2, 4),
    ("backup-1", 4, 8),
)
# On host-08, so that its memory is nearly full.
_LARGE: tuple[tuple[str, int, int], ...] = (("warehouse-1", 8, 96), ("warehouse-2", 8, 84))
# Hosts by how many plain VMs each gets for every twelve.
_SPREAD = ("host-01", "host-02", "host-05", "host-07", "host-09", "host-10", "host-11", "host-12", "host-06", "host-03")
_SHUT_OFF = frozenset({"test-03", "test-09", "desktop-07", "build-07", "db-dev-2"})


def guests(seed: int) -> dict[str, list[GuestModel]]:
    """The VMs of each host."""
    models = {model.name: model for model in HOSTS}
    boards = {name: CoreBoard(model) for name, model in models.items()}
    found: dict[str, list[GuestModel]] = {name: [] for name in models}
    # Literal lists first: the others take what is left.
    for line in sorted(PINNED, key=lambda line: not line.cpus):
        found[line.host].append(pinned_guest(line, boards[line.host], seed))
    for position, (name, vcpus, gib) in enumerate(_plain(seed)):
        host = "host-08" if (name, vcpus, gib) in _LARGE else _SPREAD[position % len(_SPREAD)]
        found[host].append(plain_guest(seed, models[host], name, vcpus, gib, is_running=name not in _SHUT_OFF))
    return found


def _plain(seed: int) -> Sequence[tuple[str, int, int]]:
    rows: list[tuple[str, int, int]] = []
    for role, count, vcpus, gib in _ROLES:
        digits = 2 if count > 9 else 1
        for number in range(1, count + 1):
            name = f"{role}-{number:0{digits}}"
            pick = fractions(seed, f"size {name}", 2)
            rows.append((name, vcpus[int(pick[0] * 0.999 * len(vcpus))], gib[int(pick[1] * 0.999 * len(gib))]))
    return [*rows, *_SINGLES, *_LARGE]


def plain_guest(seed: int, host: HostModel, name: str, vcpus: int, gib: int, *, is_running: bool = True) -> GuestModel:
    """A VM without pinning. What it started on decides which CPU models it may have."""
    pick, boot = fractions(seed, f"kind {name}", 2)
    mode, model = "custom", "Cascadelake-Server-noTSX"
    if pick < 0.15:
        mode = "host-model"
    elif pick < 0.3 and host.generation is not Generation.CASCADE_LAKE:
        model = "Icelake-Server-noTSX"
    has_new_machine = pick > 0.9 and host.hypervisor_version >= 8_002_000
    return GuestModel(
        name=name,
        uuid=guest_uuid(seed, name),
        vcpus=vcpus,
        memory_kib=gib * GIB,
        cpu_mode=mode,
        cpu_model=model,
        machine="pc-q35-8.2" if has_new_machine else "pc-q35-7.2",
        is_running=is_running,
        autostart=boot < 0.5,
    )
