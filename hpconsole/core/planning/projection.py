"""The cluster as it will be when some VMs have left their hosts. Pure.

What a VM held comes back: bound memory and pages to its nodes, the rest to the host as a whole (which node that was
on nobody knows), and its share of the load.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hpconsole.core.model.host import Host, NodeUsage
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmLoad, VmState
from hpconsole.core.scheduler.needs import memory_need
from hpconsole.core.scheduler.occupancy import PLAIN, NodeClaim, claims_of
from hpconsole.core.scheduler.performance import present_placement


def without(snapshot: ClusterSnapshot, vm_uuids: Iterable[str]) -> ClusterSnapshot:
    """The snapshot after these VMs have left; they are shut off and nowhere in it."""
    hosts, vms = dict(snapshot.hosts), dict(snapshot.vms)
    is_changed = False
    for uuid in vm_uuids:
        vm = vms.get(uuid)
        if vm is None or vm.host is None or not vm.state.is_active:
            continue
        is_changed = True
        vms[uuid] = replace(vm, host=None, state=VmState.SHUT_OFF, state_reason="")
        if vm.host in hosts:
            hosts[vm.host] = left_by(hosts[vm.host], vm, snapshot.loads.get(uuid))
    return replace(snapshot, hosts=hosts, vms=vms) if is_changed else snapshot


def left_by(host: Host, vm: Vm, load: VmLoad | None) -> Host:
    """The host after this VM has left."""
    usage = host.usage
    claims = claims_of(vm, present_placement(vm))
    nodes = tuple(_given_back(node, claims) for node in usage.nodes)
    changes: dict[str, object] = {"nodes": nodes}
    if usage.memory_free_kib is not None:
        changes["memory_free_kib"] = usage.memory_free_kib + memory_need(vm).normal_kib
    threads = len(host.topology.cpus)
    if usage.cpu_pct is not None and load is not None and threads:
        changes["cpu_pct"] = max(0.0, usage.cpu_pct - load.cpu_pct / threads)
    return replace(host, usage=replace(usage, **changes))  # type: ignore[arg-type]  # each has its field's type


def _given_back(node: NodeUsage, claims: Iterable[NodeClaim]) -> NodeUsage:
    mine = [claim for claim in claims if claim.node_id == node.node_id]
    if not mine:
        return node
    plain = sum(claim.amount for claim in mine if claim.page_kib == PLAIN)
    pages = {claim.page_kib: claim.amount for claim in mine if claim.page_kib != PLAIN}
    return replace(
        node,
        free_kib=node.free_kib + plain,
        free_pages=tuple((size, count + pages.get(size, 0)) for size, count in node.free_pages),
    )
