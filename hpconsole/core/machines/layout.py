"""The best layout of a VM on a real host as it is now: virtual topology, virtual nodes, page size, and every pin. Pure.

The placement engine decides; this module only asks it the few questions whose answer can be the layout: which page
size, and how many virtual nodes (the fewest that fit, one for each host node they lie on).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.machines.draft import CpuPinningPolicy, VcpuTopology, VmDraft
from hpconsole.core.machines.editing import with_huge_pages, with_node_count, with_policy, with_topology
from hpconsole.core.machines.surroundings import Surroundings, meant_vm
from hpconsole.core.model.cpuset import EMPTY, CpuSet
from hpconsole.core.model.host import Host
from hpconsole.core.model.placement import Placement
from hpconsole.core.scheduler.host_tables import tables_of
from hpconsole.core.scheduler.occupancy import Occupancy, occupancy
from hpconsole.core.scheduler.placement import Misfit, place


@dataclass(frozen=True, slots=True)
class Layout:
    """A draft that fits a host, where exactly it lies there, and CPUs that are left for its other threads."""

    host: Host
    draft: VmDraft
    placement: Placement
    helper_cpus: CpuSet  # empty: none are left


@dataclass(frozen=True, slots=True)
class NoLayout:
    """Why there is none: a sentence."""

    sentence: str


def taken_on(draft: VmDraft, around: Surroundings, host: Host) -> Occupancy:
    """What is taken on a host, apart from the VM itself."""
    own = frozenset({draft.uuid}) if draft.uuid else frozenset[str]()
    return occupancy(host, around.snapshot.vms.values(), around.reservations, without=own)


def best_layout(draft: VmDraft, around: Surroundings) -> Layout | NoLayout:
    """The layout on the first host that has one: where the VM runs, then its specific hosts in order, then all by room.

    What the draft already says (virtual nodes, a topology that fits, a page size) is kept.
    """
    hosts = candidate_hosts(draft, around)
    if not hosts:
        return NoLayout("No host answers, so there is no topology to fit the VM to.")
    first_reason = ""
    for host in hosts:
        found = layout_on(draft, around, host)
        if isinstance(found, Layout):
            return found
        first_reason = first_reason or found.sentence
    return NoLayout(first_reason)


def candidate_hosts(draft: VmDraft, around: Surroundings) -> tuple[Host, ...]:
    """The hosts a layout is looked for on, the best first."""
    present = around.present(draft)
    here = present.host if present is not None and present.is_running_somewhere else around.host
    hosts = [host for host in around.chosen(draft) if host.topology.cpus and host.is_candidate]

    def order(host: Host) -> tuple[bool, int, int]:
        rank = draft.allowed_hosts.index(host.name) if draft.allowed_hosts else 0
        return host.name != here, rank, -sum(usage.free_kib for usage in host.usage.nodes)

    return tuple(sorted(hosts, key=order))


def layout_on(draft: VmDraft, around: Surroundings, host: Host) -> Layout | NoLayout:
    """The layout on one host: the largest pages with which the VM fits, then the fewest virtual nodes."""
    taken = taken_on(draft, around, host)
    reserved = _reserved(taken)
    reason = ""
    for page_kib in _page_sizes(draft, host):
        for count in _node_counts(draft, host):
            shaped = _shaped(with_huge_pages(draft, page_kib), host, count)
            if shaped is None:
                continue
            for spare in (reserved, EMPTY):
                found = _placed(shaped, host, replace(taken, exclusive=taken.exclusive | spare))
                if isinstance(found, Placement):
                    helpers = _helper_cpus(found, host, taken)
                    return Layout(host, replace(shaped, optimized_for=draft.optimized_for), found, helpers)
                reason = found
    return NoLayout(reason or f"The VM cannot be divided evenly over the NUMA nodes of {host.name}.")


def fits_topology(topology: VcpuTopology, host: Host) -> bool:
    """Whether virtual sockets, cores and threads are no more than the host's."""
    most = host_topology(host)
    return (
        topology.sockets <= most.sockets
        and topology.cores * topology.dies <= most.cores
        and topology.threads <= most.threads
    )


def host_topology(host: Host) -> VcpuTopology:
    """The host's sockets, cores per socket and threads per core; at least one each."""
    known = host.topology
    sockets = known.sockets or len({cpu.socket_id for cpu in known.cpus}) or 1
    cores = known.cores or len({cpu.siblings.bits for cpu in known.cpus}) or 1
    threads = known.threads or len(known.cpus) or 1
    return VcpuTopology(sockets=sockets, cores=max(1, cores // sockets), threads=max(1, threads // cores))


def _page_sizes(draft: VmDraft, host: Host) -> Iterator[int | None]:
    if draft.huge_page_kib is not None:
        yield draft.huge_page_kib
        return
    sizes = {size for node in host.topology.nodes for size, count in node.page_totals if count and size > 4}
    sizes |= {size for usage in host.usage.nodes for size, count in usage.total_pages if count and size > 4}
    yield from (size for size in sorted(sizes, reverse=True) if draft.memory_kib % size == 0)
    yield None


def _node_counts(draft: VmDraft, host: Host) -> Iterator[int]:
    if draft.numa_nodes:
        yield len(draft.numa_nodes)
        return
    most = sum(1 for node in host.topology.nodes if node.cpus) or 1
    yield from range(1, most + 1)


def _shaped(draft: VmDraft, host: Host, count: int) -> VmDraft | None:
    """The draft with a topology that fits the host and so many equal virtual nodes; None if it cannot be divided so."""
    most = host_topology(host)
    vcpus = draft.vcpus
    keeps = fits_topology(draft.topology, host) and draft.topology.threads in (1, most.threads)
    threads = most.threads if vcpus % most.threads == 0 else 1
    if keeps and (draft.topology.threads == threads or vcpus % most.threads):
        topology = draft.topology
    else:
        cores = vcpus // threads
        wanted = max(1, -(-count * most.sockets // max(1, len(host.topology.nodes))))
        fitting = (s for s in range(wanted, most.sockets + 1) if cores % s == 0 and cores // s <= most.cores)
        sockets = next(fitting, 0)
        if not sockets:
            return None
        topology = VcpuTopology(sockets=sockets, cores=cores // sockets, threads=threads)
    if not draft.numa_nodes and (vcpus // topology.threads) % count:
        return None
    shaped = with_topology(draft, topology)
    return shaped if draft.numa_nodes else with_node_count(shaped, count)


def _placed(draft: VmDraft, host: Host, taken: Occupancy) -> Placement | str:
    """Whole cores: a core for each virtual core, or for each vCPU where vCPUs have no siblings."""
    is_single = draft.topology.threads == 1 and host_topology(host).threads > 1
    policies = (CpuPinningPolicy.ISOLATE_THREADS, CpuPinningPolicy.DEDICATED)
    reason = ""
    for policy in policies if is_single else policies[1:]:
        free = replace(with_policy(draft, policy), emulator_text="", iothread_texts=(), numa_tune=None, xml="")
        try:
            found = place(meant_vm(replace(free, disks=(), nics=(), name="layout")), taken)
        except HpconsoleError as error:
            return error.sentence
        if not isinstance(found, Misfit):
            return found
        reason = reason or found.sentence
    return reason


def _free_cores(taken: Occupancy) -> Iterator[tuple[int, int]]:
    """(position of the node, CPUs) of each core that nobody is pinned to, lowest CPU first."""
    used = taken.exclusive.bits | taken.shared.bits
    tables = tables_of(taken.host.topology)
    for position, cores in enumerate(tables.cores):
        for core in sorted(cores, key=lambda core: core.bits & -core.bits):
            if not core.bits & used:
                yield position, core.bits


def _reserved(taken: Occupancy) -> CpuSet:
    """The first free core of each node: kept for emulator and IO threads, as long as the vCPUs have room besides."""
    bits, seen = 0, set[int]()
    for position, core in _free_cores(taken):
        if position not in seen:
            seen.add(position)
            bits |= core
    return CpuSet(bits)


def _helper_cpus(placement: Placement, host: Host, taken: Occupancy) -> CpuSet:
    """A free core for emulator and IO threads, on the node that holds most of the vCPUs, else on any."""
    tables = tables_of(host.topology)
    pinned = placement.pinning.all_vcpu_cpus.bits
    used = tables.whole_cores(pinned)
    main = max(range(tables.size), key=lambda i: ((tables.node_bits[i] & pinned).bit_count(), -i))
    free = [(position, core) for position, core in _free_cores(taken) if not core & used]
    here = [core for position, core in free if position == main] or [core for _, core in free]
    return CpuSet(here[0]).lowest(2) if here else EMPTY
