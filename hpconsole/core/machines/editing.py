"""How does a draft change so that what belongs together stays together? Each function: draft in, draft out. Pure.

Nothing is refused here that can be undone by another edit; `checking` says what a VM cannot have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.machines.draft import (
    CpuPinningPolicy,
    HostMap,
    MigrationMode,
    NodeDraft,
    NumaPin,
    VcpuTopology,
    VmDraft,
    volume_name,
)
from hpconsole.core.machines.migration_mode import settled
from hpconsole.core.machines.reading import COMPUTED, LITERAL
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.planning.pinning_text import as_map, format_pinning, parse
from hpconsole.core.planning.virtual_numa import split

MOST_QUEUES = 8  # more queues than this bring nothing on hosts of this size, and each costs memory
_QUEUED_NICS = ("network", "bridge", "direct", "ethernet", "vhostuser")


# --- name -------------------------------------------------------------------------


def with_name(draft: VmDraft, name: str) -> VmDraft:
    """Another name. Volumes that are yet to be made follow it, where they were called after the VM."""
    disks = []
    for place, disk in enumerate(draft.disks):
        is_after_vm = disk.is_new_volume and disk.volume == volume_name(draft.name, place, disk.format)
        disks.append(replace(disk, volume=volume_name(name, place, disk.format)) if is_after_vm else disk)
    return replace(draft, name=name, disks=tuple(disks))


# --- size -------------------------------------------------------------------------


def with_memory(draft: VmDraft, memory_kib: int) -> VmDraft:
    """All of the VM's memory; virtual nodes share it anew, and what the balloon gives follows where it gave all."""
    now = memory_kib if draft.memory_now_kib == draft.memory_kib else min(draft.memory_now_kib, memory_kib)
    changed = replace(draft, memory_kib=memory_kib, memory_now_kib=now)
    return _shared_anew(changed) if draft.numa_nodes and memory_kib != draft.memory_kib else changed


def with_topology(draft: VmDraft, topology: VcpuTopology) -> VmDraft:
    """Virtual sockets, cores and threads. All vCPUs are plugged in; virtual nodes and queues follow.

    Pins of vCPUs that are gone go.
    """
    count = topology.vcpus
    now = count if draft.vcpus_now == draft.vcpus else min(draft.vcpus_now, count)
    changed = replace(draft, topology=topology, vcpus_now=now)
    if count == draft.vcpus:
        return changed
    changed = replace(
        changed,
        pinning_text=_without_vcpus(draft.pinning_text, count),
        per_host=tuple(replace(own, pinning_text=_without_vcpus(own.pinning_text, count)) for own in draft.per_host),
    )
    if draft.is_multi_queue:
        changed = with_multi_queue(changed, is_on=True)
    return _shared_anew(changed) if draft.numa_nodes else changed


def with_vcpus(draft: VmDraft, count: int) -> VmDraft:
    """So many vCPUs: one socket of cores, keeping the threads of a core where they divide."""
    threads = draft.topology.threads if count % max(1, draft.topology.threads) == 0 else 1
    sockets = draft.topology.sockets if count % max(1, draft.topology.sockets * threads) == 0 else 1
    cores = max(1, count // (sockets * threads))
    return with_topology(draft, VcpuTopology(sockets=sockets, cores=cores, threads=threads))


def _without_vcpus(text: str, count: int) -> str:
    try:
        pins = as_map(parse(text))
    except InvalidPinning:
        return text  # being typed: what is wrong with it is said at the field
    if all(vcpu < count for vcpu, _ in pins):
        return text
    return format_pinning((vcpu, cpus) for vcpu, cpus in pins if vcpu < count)


def with_huge_pages(draft: VmDraft, page_kib: int | None) -> VmDraft:
    """Huge pages of this size behind the memory; virtual nodes then hold whole pages."""
    changed = replace(draft, huge_page_kib=page_kib)
    is_uneven = page_kib and any(node.memory_kib % page_kib for node in draft.numa_nodes)
    return _shared_anew(changed) if is_uneven else changed


def with_iothreads(draft: VmDraft, count: int) -> VmDraft:
    """So many IO threads; virtio disks are spread over them."""
    disks, place = [], 0
    for disk in draft.disks:
        is_served = disk.bus in ("virtio", "scsi") and disk.device == "disk"
        if count and disk.bus == "virtio" and is_served:
            disks.append(replace(disk, iothread=place % count + 1))
            place += 1
        else:
            disks.append(replace(disk, iothread=None) if disk.iothread else disk)
    texts = tuple((thread, text) for thread, text in draft.iothread_texts if thread <= count)
    return replace(draft, iothreads=count, disks=tuple(disks), iothread_texts=texts)


def with_multi_queue(draft: VmDraft, *, is_on: bool) -> VmDraft:
    """A queue for each vCPU, up to eight, on every virtio interface; or one."""
    queues = min(draft.vcpus, MOST_QUEUES)
    wanted = queues if is_on and queues > 1 else None
    nics = tuple(
        replace(nic, queues=wanted) if nic.model == "virtio" and nic.kind in _QUEUED_NICS else nic for nic in draft.nics
    )
    return replace(draft, is_multi_queue=is_on, nics=nics)


# --- virtual NUMA nodes -----------------------------------------------------------


def with_node_count(draft: VmDraft, count: int) -> VmDraft:
    """So many virtual nodes that share vCPUs and memory; pins of nodes that stay are kept. 0 = none."""
    kept = tuple(draft.numa_nodes[:count])
    new = tuple(NodeDraft(index, 0) for index in range(len(kept), count))
    nodes = tuple(replace(node, index=index) for index, node in enumerate((*kept, *new)))
    return _shared_anew(replace(draft, numa_nodes=nodes))


def split_node(draft: VmDraft, index: int) -> VmDraft:
    """One virtual node as two halves with the same pins; nodes behind it get the next numbers."""
    nodes: list[NodeDraft] = []
    for node in draft.numa_nodes:
        if node.index != index:
            nodes.append(node)
            continue
        block = draft.huge_page_kib or 1024
        lower = node.memory_kib // 2 // block * block
        middle = (len(node.vcpus) + 1) // 2
        nodes.append(replace(node, memory_kib=node.memory_kib - lower, vcpus=node.vcpus[:middle]))
        nodes.append(replace(node, memory_kib=lower, vcpus=node.vcpus[middle:], key=None))
    return replace(draft, numa_nodes=_numbered(nodes))


def merge_nodes(draft: VmDraft, first: int, second: int) -> VmDraft:
    """Two virtual nodes as one, in the place of the first: memory, vCPUs and host nodes together."""
    other = next((node for node in draft.numa_nodes if node.index == second), None)
    if other is None or first == second:
        return draft
    nodes = []
    for node in draft.numa_nodes:
        if node.index == first:
            together = tuple(dict.fromkeys((*node.host_nodes, *other.host_nodes)))
            vcpus = tuple(sorted({*node.vcpus, *other.vcpus}))
            nodes.append(replace(node, memory_kib=node.memory_kib + other.memory_kib, vcpus=vcpus, host_nodes=together))
        elif node.index != second:
            nodes.append(node)
    return replace(draft, numa_nodes=_numbered(nodes))


def with_node(draft: VmDraft, node: NodeDraft) -> VmDraft:
    """This virtual node in the place of the one with its number."""
    return settled(
        draft, replace(draft, numa_nodes=tuple(node if n.index == node.index else n for n in draft.numa_nodes))
    )


def pin_node(draft: VmDraft, index: int, host_nodes: Iterable[int], *, host: str = "") -> VmDraft:
    """Pin a virtual node to these nodes of any chosen host, or of one host only; none = not pinned."""
    wanted = tuple(dict.fromkeys(host_nodes))
    if host:
        own = host_map(draft, host)
        mode = next((node.mode for node in draft.numa_nodes if node.index == index), None)
        others = tuple(pin for pin in own.numa if pin.node_id != index)
        pins = (*others, NumaPin(index, wanted, mode)) if mode is not None and wanted else others
        return with_host_map(draft, replace(own, numa=tuple(sorted(pins, key=lambda pin: pin.node_id))))
    nodes = tuple(replace(n, host_nodes=wanted) if n.index == index else n for n in draft.numa_nodes)
    return settled(draft, replace(draft, numa_nodes=nodes))


def _numbered(nodes: Iterable[NodeDraft]) -> tuple[NodeDraft, ...]:
    return tuple(replace(node, index=index) for index, node in enumerate(nodes))


def _shared_anew(draft: VmDraft) -> VmDraft:
    """Memory and vCPUs over the virtual nodes there are, as the reference divides them (behaviour.md A6.5)."""
    shares = split(
        len(draft.numa_nodes),
        memory_kib=draft.memory_kib,
        vcpus=draft.vcpus,
        threads_per_core=draft.topology.threads,
        huge_page_kib=draft.huge_page_kib,
        is_exclusive=draft.cpu_pinning_policy.is_exclusive,
    )
    nodes, first = [], 0
    for node, share in zip(draft.numa_nodes, shares, strict=True):
        vcpus = tuple(range(first, first + share.vcpus))
        first += share.vcpus
        nodes.append(replace(node, memory_kib=share.memory_kib, vcpus=vcpus))
    return replace(draft, numa_nodes=tuple(nodes))


# --- pinning ----------------------------------------------------------------------


def with_policy(draft: VmDraft, policy: CpuPinningPolicy) -> VmDraft:
    """Another CPU pinning policy. A map that the policy has no use for is cleared, as in the reference (B6)."""
    changed = replace(draft, cpu_pinning_policy=policy)
    if policy not in LITERAL:
        emptied = tuple(replace(own, pinning_text="") for own in draft.per_host)
        changed = replace(changed, pinning_text="", per_host=_meant(emptied))
    if policy in COMPUTED:
        nodes = tuple(replace(node, host_nodes=()) for node in draft.numa_nodes)
        changed = replace(changed, numa_nodes=nodes, per_host=())
    return settled(draft, changed)


def with_pinning_text(draft: VmDraft, text: str, *, host: str = "") -> VmDraft:
    """The pinning as typed, possible or not."""
    if host:
        return with_host_map(draft, replace(host_map(draft, host), pinning_text=text))
    return settled(draft, replace(draft, pinning_text=text))


def pinning_of(draft: VmDraft, host: str = "") -> dict[int, CpuSet]:
    """The map that holds on a host (or in general); empty while the text cannot be meant."""
    own = next((item.pinning_text for item in draft.per_host if item.host == host), "") if host else ""
    try:
        return dict(as_map(parse(own or draft.pinning_text)))
    except InvalidPinning:
        return {}


def pin_vcpus(draft: VmDraft, pins: Mapping[int, CpuSet | None], *, host: str = "") -> VmDraft:
    """Pin these vCPUs (None or empty: not pinned any more), the others as they are. The text follows.

    The first pin of a VM without a policy makes it Manual.
    """
    now = pinning_of(draft, host)
    for vcpu, cpus in pins.items():
        if cpus:
            now[vcpu] = cpus
        else:
            now.pop(vcpu, None)
    changed = draft
    if now and draft.cpu_pinning_policy not in LITERAL:
        changed = replace(draft, cpu_pinning_policy=CpuPinningPolicy.MANUAL)
    text = format_pinning(now.items())
    if host:
        return settled(draft, with_host_map(changed, replace(host_map(changed, host), pinning_text=text)))
    if not now and draft.cpu_pinning_policy in LITERAL and not any(own.pinning_text for own in draft.per_host):
        changed = replace(changed, cpu_pinning_policy=CpuPinningPolicy.NONE)
    return settled(draft, replace(changed, pinning_text=text))


def host_map(draft: VmDraft, host: str) -> HostMap:
    """The literal pinning of one host; an empty one where there is none."""
    return next((own for own in draft.per_host if own.host == host), HostMap(host))


def with_host_map(draft: VmDraft, own: HostMap) -> VmDraft:
    """This host's own map; an empty one takes it away."""
    others = [item for item in draft.per_host if item.host != own.host]
    return settled(draft, replace(draft, per_host=_meant((*others, own))))


def _meant(maps: Iterable[HostMap]) -> tuple[HostMap, ...]:
    return tuple(own for own in maps if own.pinning_text or own.numa)


# --- hosts and migration ----------------------------------------------------------


def with_hosts(draft: VmDraft, hosts: Iterable[str]) -> VmDraft:
    """Specific Host(s), in order; none = any host in the cluster. Maps of hosts that are gone go."""
    wanted = tuple(dict.fromkeys(hosts))
    maps = tuple(own for own in draft.per_host if own.host in wanted)
    return replace(draft, allowed_hosts=wanted, per_host=maps)


def with_migration_mode(draft: VmDraft, mode: MigrationMode) -> VmDraft:
    """The mode as the user chose it: no automatic switching overwrites it from now on."""
    return replace(draft, migration_mode=mode, is_migration_mode_chosen=True)


def without_chosen_mode(draft: VmDraft) -> VmDraft:
    """Back to the mode that hpconsole suggests, and to following it."""
    return settled(draft, replace(draft, is_migration_mode_chosen=False))
