"""`hpconsole hosts` and `hpconsole vms`: what is, on the hosts or in a saved snapshot."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, pinning_json, print_json, print_table
from hpconsole.cli.session import snapshot_of
from hpconsole.cli.terminal import complain
from hpconsole.core import amounts
from hpconsole.core.model.host import Host, HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm

_HOST_TITLES = (
    "HOST",
    "LINK",
    "STATUS",
    "CPUS",
    "NODES",
    "MEMORY",
    "FREE",
    "FREE HUGE PAGES",
    "CPU LOAD",
    "VMS",
)
_VM_TITLES = ("VM", "STATE", "HOST", "VCPUS", "MEMORY", "OPTIMIZED FOR", "PINNED", "MIGRATION")


def list_hosts(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Print every host; `UNREACHABLE` where one did not answer."""
    with snapshot_of(arguments.scenario, options) as (snapshot, names):
        hosts = [snapshot.hosts[name] for name in names if name in snapshot.hosts]
        if arguments.json:
            print_json({"format": "hpconsole-hosts/1", "hosts": [_host_json(host, snapshot) for host in hosts]})
        else:
            print_table(_HOST_TITLES, [_host_row(host, snapshot) for host in hosts], right=(3, 4, 5, 6, 8, 9))
        return _code(snapshot, names)


def list_vms(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Print every VM of the hosts that answered."""
    with snapshot_of(arguments.scenario, options) as (snapshot, names):
        vms = sorted(snapshot.vms.values(), key=lambda vm: (vm.name, vm.uuid))
        if arguments.json:
            print_json({"format": "hpconsole-vms/1", "vms": [_vm_json(vm) for vm in vms]})
        else:
            print_table(_VM_TITLES, [_vm_row(vm) for vm in vms], right=(3, 4))
        for vm in vms:
            if vm.also_running_on:
                where = ", ".join((vm.host or "?", *vm.also_running_on))
                complain(f"{vm.name} runs on several hosts at once: {where}.")
        return _code(snapshot, names)


def _vm_row(vm: Vm) -> tuple[str, ...]:
    return (
        vm.name,
        _state(vm),
        vm.host or "-",
        str(vm.vcpus),
        amounts.kib(vm.memory_kib),
        vm.intent.optimized_for.value,
        _pinned(vm),
        vm.intent.migration_mode.value,
    )


def _code(snapshot: ClusterSnapshot, names: Iterable[str]) -> ExitCode:
    return ExitCode.DONE if all(_answers(snapshot, name) for name in names) else ExitCode.UNREACHABLE


def _answers(snapshot: ClusterSnapshot, name: str) -> bool:
    host = snapshot.hosts.get(name)
    return host is not None and host.link.state is LinkState.CONNECTED


def _state(vm: Vm) -> str:
    if vm.also_running_on:
        return f"{vm.state.value} on {1 + len(vm.also_running_on)} hosts!"
    return "migrating" if vm.is_migrating else vm.state.value


def _free_pages(host: Host) -> dict[int, int]:
    total: dict[int, int] = {}
    for node in host.usage.nodes:
        for size, free in node.free_pages:
            total[size] = total.get(size, 0) + free
    return total


def _size(kib: int | None) -> str:
    return "?" if kib is None else amounts.kib(kib)


def _pages_text(host: Host) -> str:
    if not host.usage.nodes:
        return "?"  # it never answered: unknown is not none
    return (
        ", ".join(f"{free} x {amounts.page_size(size)}" for size, free in sorted(_free_pages(host).items())) or "none"
    )


def _status(host: Host) -> str:
    """What was decided about it; a host that is not reached is not called up."""
    is_unknown = host.status is HostStatus.UP and host.link.state is not LinkState.CONNECTED
    return "?" if is_unknown else host.status.value


def _host_row(host: Host, snapshot: ClusterSnapshot) -> tuple[str, ...]:
    load = host.usage.cpu_pct
    return (
        host.name,
        host.link.state.value,
        _status(host),
        str(host.topology.threads or "?"),
        str(len(host.topology.nodes) or "?"),
        _size(host.memory_kib),
        _size(host.usage.memory_free_kib),
        _pages_text(host),
        "?" if load is None else amounts.pct(load),
        str(len(snapshot.vms_on(host.name))) if host.link.answered_at is not None else "?",
    )


def _host_json(host: Host, snapshot: ClusterSnapshot) -> Json:
    usage = host.usage
    return {
        "name": host.name,
        "uri": host.uri,
        "link": host.link.state.value,
        "problem": host.link.problem,
        "answered_at": host.link.answered_at.isoformat() if host.link.answered_at else None,
        "status": host.status.value,
        "libvirt_version": host.libvirt_version,
        "hypervisor_version": host.hypervisor_version,
        "sockets": host.topology.sockets,
        "cores": host.topology.cores,
        "threads": host.topology.threads,
        "memory_kib": host.memory_kib,
        "memory_free_kib": usage.memory_free_kib,
        "cpu_pct": usage.cpu_pct,
        "vms": len(snapshot.vms_on(host.name)),
        "nodes": [
            {
                "id": node.node_id,
                "cpus": node.cpus.format(),
                "memory_kib": node.memory_kib,
                "memory_free_kib": now.free_kib if (now := usage.node(node.node_id)) else None,
                "distances": {str(other): distance for other, distance in node.distances},
                "huge_pages": {
                    str(size): {"total": total, "free": dict(now.free_pages).get(size) if now else None}
                    for size, total in (now.total_pages if now and now.total_pages else node.page_totals)
                },
            }
            for node in host.topology.nodes
        ],
    }


def _pinned(vm: Vm) -> str:
    if vm.pinning.vcpus:
        return f"{len(vm.pinning.vcpus)} vCPUs on {vm.pinning.all_vcpu_cpus.format()}"
    nodes = sorted({node for virtual in vm.virtual_nodes for node in virtual.host_nodes})
    return f"memory on nodes {','.join(map(str, nodes))}" if nodes else "-"


def _vm_json(vm: Vm) -> Json:
    return {
        "uuid": vm.uuid,
        "name": vm.name,
        "state": vm.state.value,
        "host": vm.host,
        "migrating": vm.is_migrating,
        "also_running_on": list(vm.also_running_on),
        "persistent": vm.is_persistent,
        "vcpus": vm.vcpus,
        "memory_kib": vm.memory_kib,
        "huge_page_kib": vm.huge_page_kib,
        "optimized_for": vm.intent.optimized_for.value,
        "migration_mode": vm.intent.migration_mode.value,
        "cpu_pinning_policy": vm.intent.cpu_pinning_policy.value,
        "allowed_hosts": list(vm.intent.allowed_hosts),
        "high_availability": vm.intent.high_availability,
        "intent_stored": vm.intent.is_stored,
        "pinned_or_high_performance": vm.is_pinned_or_high_performance,
        "pinning": pinning_json(vm.pinning),
        "virtual_nodes": [
            {
                "id": node.node_id,
                "vcpus": node.vcpus.format(),
                "memory_kib": node.memory_kib,
                "host_nodes": list(node.host_nodes),
                "mode": node.mode.value,
            }
            for node in vm.virtual_nodes
        ],
    }
