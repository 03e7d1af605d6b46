"""Will a VM run as well at this placement as at the present one? Same, better or likely slower, and what makes it so.

A forecast from structure only: where memory and vCPUs lie, what they share, which caches and CPU they get. It measures
nothing and knows no workload; every cause is named so that a person can weigh it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hpconsole.core.model.host import Host
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.host_tables import HostTables, tables_of
from hpconsole.core.scheduler.wording import counted


class Outlook(StrEnum):
    """The forecast in a word."""

    SAME = "same"
    BETTER = "better"
    SLOWER = "likely slower"


@dataclass(frozen=True, slots=True)
class Cause:
    """One difference. `change` is what it costs (positive) or gains (negative) against now, in points."""

    kind: str
    sentence: str
    change: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a VM is expected to run at a placement."""

    outlook: Outlook
    causes: tuple[Cause, ...] = ()  # the largest first

    @property
    def sentence(self) -> str:
        """In one sentence."""
        if not self.causes:
            return "It will run as it does now."
        words = {Outlook.SAME: "Much the same", Outlook.BETTER: "Better", Outlook.SLOWER: "Likely slower"}
        return f"{words[self.outlook]}: {'; '.join(cause.sentence for cause in self.causes)}."


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a placement matters for speed. All counts: fewer is better, but `l3_kib` and `cpu_pct`."""

    split_nodes: int = 0  # virtual nodes whose vCPUs or memory lie over several host nodes
    remote_nodes: int = 0  # virtual nodes whose memory is on other host nodes than their vCPUs
    distance: int = 0  # sum of distances between the host nodes of the VM, above local
    banks: int = 0  # L3 banks beyond one per virtual node
    crowded_cpus: int = 0  # vCPUs that share their CPU with another vCPU of the VM
    sibling_vcpus: int = 0  # vCPUs on sibling threads that the guest does not know as siblings
    neighbours: int = 0  # vCPUs whose core other pinned VMs use too
    floating_vcpus: int = 0  # vCPUs without CPUs of their own
    emulator_overlap: int = 0  # CPUs that emulator or IO threads share with vCPUs
    small_pages: int = 0  # 1 for a pinned VM whose memory is not in huge pages
    l3_kib: int = 0  # the smallest L3 any vCPU uses; 0 = unknown


_POINTS = {
    "split_nodes": 8.0,
    "remote_nodes": 10.0,
    "distance": 0.1,
    "banks": 2.0,
    "crowded_cpus": 10.0,
    "sibling_vcpus": 3.0,
    "neighbours": 3.0,
    "floating_vcpus": 1.0,
    "emulator_overlap": 2.0,
    "small_pages": 2.0,
}
_NAMES = {
    "split_nodes": ("virtual node over several host nodes", "virtual nodes over several host nodes"),
    "remote_nodes": ("virtual node with memory away from its vCPUs", "virtual nodes with memory away from their vCPUs"),
    "distance": ("unit of distance between its nodes", "units of distance between its nodes"),
    "banks": ("L3 cache that its vCPUs are spread over", "L3 caches that its vCPUs are spread over"),
    "crowded_cpus": ("vCPU that shares a CPU with another", "vCPUs that share a CPU with another"),
    "sibling_vcpus": (
        "vCPU on a sibling thread the guest does not know of",
        "vCPUs on sibling threads unknown to the guest",
    ),
    "neighbours": ("vCPU beside other pinned VMs on its core", "vCPUs beside other pinned VMs on their cores"),
    "floating_vcpus": ("vCPU without a CPU of its own", "vCPUs without CPUs of their own"),
    "emulator_overlap": ("CPU shared with emulator or IO threads", "CPUs shared with emulator or IO threads"),
    "small_pages": ("VM without huge pages", "VMs without huge pages"),
}
# What a VM notices that is neither pinned nor high-performance: how far its memory is, and vCPUs that share a CPU. Its
# vCPUs roam over the host anyway: single caches, siblings and the base clock are told, and count nothing.
_NOTICED_BY_ALL = frozenset({"split_nodes", "remote_nodes", "distance", "crowded_cpus"})
_NOTICED = 1.0  # points below which a difference is no difference


@dataclass(frozen=True)
class Setting:
    """A host as the VM finds it: what other pinned VMs use there."""

    host: Host
    taken_bits: int = 0
    tables: HostTables = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tables_of(self.host.topology))


def present_placement(vm: Vm) -> Placement:
    """Where a running VM is now, as a placement."""
    bindings = tuple(NodeBinding(n.node_id, n.host_nodes, n.mode) for n in vm.virtual_nodes if n.host_nodes)
    return Placement(vm.uuid, vm.host or "", bindings, vm.pinning, vm.numa_tune)


def forecast(vm: Vm, placement: Placement, there: Setting, now: Setting | None) -> Forecast:
    """How `vm` will run at `placement` on the host of `there`, against its present place on `now`.

    Without `now` (the VM does not run) the placement is judged against an ideal one. For a VM that is neither pinned
    nor high-performance only what it notices has points; the rest is told with none.
    """
    new = shape_of(vm, placement, there)
    old = shape_of(vm, present_placement(vm), now) if now is not None else Shape(l3_kib=new.l3_kib)
    causes = [*_differences(old, new), *_cache(old, new)]
    if now is not None:
        causes += _cpu(now.host, there.host)
    if not vm.is_pinned_or_high_performance:
        causes = [cause if cause.kind in _NOTICED_BY_ALL else replace(cause, change=0.0) for cause in causes]
    total = sum(cause.change for cause in causes)
    outlook = Outlook.SLOWER if total >= _NOTICED else Outlook.BETTER if total <= -_NOTICED else Outlook.SAME
    return Forecast(outlook, tuple(sorted(causes, key=lambda cause: (-abs(cause.change), cause.kind))))


def penalty(shape: Shape) -> float:
    """All counts of a shape in points; 0 is ideal."""
    return float(sum(points * getattr(shape, name) for name, points in _POINTS.items()))


def _differences(old: Shape, new: Shape) -> Iterable[Cause]:
    for name, points in _POINTS.items():
        change = getattr(new, name) - getattr(old, name)
        if change:
            one, many = _NAMES[name]
            word = "more" if change > 0 else "fewer"
            count = counted(abs(change), f"{word} {one}", f"{word} {many}")
            yield Cause(name, count, points * change)


def _cache(old: Shape, new: Shape) -> Iterable[Cause]:
    if old.l3_kib and new.l3_kib and old.l3_kib != new.l3_kib:
        change = 5.0 * (old.l3_kib / new.l3_kib - 1) if new.l3_kib < old.l3_kib else -2.0
        word = "smaller" if new.l3_kib < old.l3_kib else "larger"
        sentence = f"a {word} L3 cache ({new.l3_kib // 1024:,} MiB instead of {old.l3_kib // 1024:,} MiB)"
        yield Cause("cache", sentence, change)


def _cpu(now: Host, there: Host) -> Iterable[Cause]:
    frequency, new = now.cpu.tsc_frequency_hz, there.cpu.tsc_frequency_hz
    if frequency and new and abs(new - frequency) > 0.02 * frequency:
        word = "slower" if new < frequency else "faster"
        ghz, its = new / 1e9, frequency / 1e9
        change = 10.0 * (frequency - new) / frequency
        yield Cause("cpu", f"a {word} CPU ({ghz:.2g} GHz base clock instead of {its:.2g})", change)
    elif now.cpu.model and there.cpu.model and now.cpu.model != there.cpu.model:
        yield Cause("cpu", f"another CPU model ({there.cpu.model} instead of {now.cpu.model})", 0.0)


def shape_of(vm: Vm, placement: Placement, setting: Setting) -> Shape:
    """The structure of a placement on a host."""
    tables = setting.tables
    pinning = {vcpu: cpus.bits & tables.online for vcpu, cpus in placement.pinning.vcpus}
    single = {vcpu: bits for vcpu, bits in pinning.items() if bits.bit_count() == 1}
    nodes_used = _nodes_used(vm, placement, pinning, tables)
    return Shape(
        split_nodes=sum(1 for nodes in nodes_used.values() if len(nodes) > 1),
        remote_nodes=_remote(vm, placement, pinning, tables),
        distance=_distance(set().union(*nodes_used.values()) if nodes_used else set(), tables),
        banks=_banks(vm, pinning, tables),
        crowded_cpus=sum(1 for vcpu, bits in single.items() if list(single.values()).count(bits) > 1),
        sibling_vcpus=_unknown_siblings(vm, single, tables),
        neighbours=sum(1 for bits in single.values() if tables.whole_cores(bits) & ~bits & setting.taken_bits),
        floating_vcpus=sum(1 for vcpu in range(vm.vcpus) if vcpu not in single),
        emulator_overlap=_helper_overlap(placement, single),
        small_pages=int(
            vm.is_pinned_or_high_performance
            and vm.huge_page_kib is None
            and not any(node.page_kib for node in vm.virtual_nodes)
        ),
        l3_kib=_smallest_l3(setting.host, pinning),
    )


def _vcpu_nodes(vm: Vm) -> Mapping[int, tuple[int, ...]]:
    """The vCPUs of each virtual node; a VM without any counts as one."""
    if not vm.virtual_nodes:
        return {0: tuple(range(vm.vcpus))}
    return {node.node_id: tuple(node.vcpus) for node in vm.virtual_nodes}


def _nodes_used(vm: Vm, placement: Placement, pinning: Mapping[int, int], tables: HostTables) -> dict[int, set[int]]:
    """For each virtual node the positions of host nodes its vCPUs or memory lie on."""
    memory = {b.node_id: {tables.index[n] for n in b.host_nodes if n in tables.index} for b in placement.bindings}
    used: dict[int, set[int]] = {}
    for node_id, vcpus in _vcpu_nodes(vm).items():
        bits = 0
        for vcpu in vcpus:
            bits |= pinning.get(vcpu, 0)
        nodes = set(tables.nodes_of(bits)) | memory.get(node_id, set())
        if nodes:
            used[node_id] = nodes
    return used


def _remote(vm: Vm, placement: Placement, pinning: Mapping[int, int], tables: HostTables) -> int:
    memory = {b.node_id: {tables.index[n] for n in b.host_nodes if n in tables.index} for b in placement.bindings}
    count = 0
    for node_id, vcpus in _vcpu_nodes(vm).items():
        bits = 0
        for vcpu in vcpus:
            bits |= pinning.get(vcpu, 0)
        cpus, where = set(tables.nodes_of(bits)), memory.get(node_id, set())
        count += bool(cpus and where and not cpus & where)
    return count


def _distance(nodes: set[int], tables: HostTables) -> int:
    """Both ways, above what a local access costs."""
    chosen = sorted(nodes)
    pairs = len(chosen) * (len(chosen) - 1) // 2
    return max(0, tables.spread(chosen) - 20 * pairs)


def _banks(vm: Vm, pinning: Mapping[int, int], tables: HostTables) -> int:
    """L3 banks used beyond one per virtual node and host node."""
    extra = 0
    for vcpus in _vcpu_nodes(vm).values():
        bits = 0
        for vcpu in vcpus:
            bits |= pinning.get(vcpu, 0)
        for node in tables.nodes_of(bits):
            extra += max(0, sum(1 for bank in tables.banks[node] if bank & bits) - 1)
    return extra


def _unknown_siblings(vm: Vm, single: Mapping[int, int], tables: HostTables) -> int:
    """VCPUs that share a core with a vCPU of another virtual core."""
    threads = max(1, vm.topology.threads)
    cores: dict[int, list[int]] = {}
    for vcpu, bits in single.items():
        cores.setdefault(tables.whole_cores(bits), []).append(vcpu)
    return sum(len(vcpus) for vcpus in cores.values() if len({vcpu // threads for vcpu in vcpus}) > 1)


def _helper_overlap(placement: Placement, single: Mapping[int, int]) -> int:
    own = 0
    for bits in single.values():
        own |= bits
    helpers = placement.pinning.emulator.bits if placement.pinning.emulator is not None else 0
    for _, cpus in placement.pinning.iothreads:
        helpers |= cpus.bits
    return (own & helpers).bit_count()


def _smallest_l3(host: Host, pinning: Mapping[int, int]) -> int:
    together = 0
    for bits in pinning.values():
        together |= bits
    sizes = [bank.size_kib for bank in host.topology.l3_banks if not together or bank.cpus.bits & together]
    return min(sizes, default=0)
