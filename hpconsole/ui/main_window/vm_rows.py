"""VMs as rows of the VM table: what each column says. Knows no Qt."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import Host, HostTopology, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, OptimizedFor, Vm, VmLoad, VmState
from hpconsole.ui import format as fmt
from hpconsole.ui.main_window.host_rows import whole_age_s
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column

TYPE_TEXT = {
    OptimizedFor.DESKTOP: "Desktop",
    OptimizedFor.SERVER: "Server",
    OptimizedFor.HIGH_PERFORMANCE: "High performance",
}
MODE_TEXT = {
    MigrationMode.AUTOMATIC: "Automatic",
    MigrationMode.MANUAL: "Manual only",
    MigrationMode.DO_NOT_MIGRATE: "Not allowed",
}
_STATE_ICON = {
    VmState.RUNNING: ("running", Tone.GOOD),
    VmState.PAUSED: ("paused", Tone.WARNING),
    VmState.SUSPENDED: ("paused", Tone.MUTED),
    VmState.SHUTTING_DOWN: ("off", Tone.WARNING),
    VmState.SHUT_OFF: ("off", Tone.MUTED),
    VmState.CRASHED: ("bad", Tone.BAD),
    VmState.UNKNOWN: ("ring", Tone.MUTED),
}
_POLICY_TEXT = {
    CpuPinningPolicy.NONE: "none",
    CpuPinningPolicy.MANUAL: "manual: the same CPU numbers on every host",
    CpuPinningPolicy.RESIZE_AND_PIN_NUMA: "resize and pin to the host's NUMA topology",
    CpuPinningPolicy.DEDICATED: "dedicated: CPUs of its own, computed for each host",
    CpuPinningPolicy.ISOLATE_THREADS: "isolate threads: a whole core for each vCPU",
    CpuPinningPolicy.KEEP_SHAPE: "keep shape: as now, on CPUs of its own on each host",
}


class VmRow(NamedTuple):
    """A VM with its load, and what is worth computing once."""

    vm: Vm
    load: VmLoad | None
    pinned: str  # "" = not pinned
    is_fresh: bool  # whether its host answers
    age_s: int | None = None  # whole seconds since its host answered, where it does not


class VmRows:
    """Makes rows from snapshots; remembers what it said of VMs that did not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Vm, HostTopology | None, str]] = {}
        self._names: list[tuple[str, str]] = []
        self._order: list[str] = []

    def rows(self, snapshot: ClusterSnapshot, now: datetime) -> list[VmRow]:
        """One row a VM, in natural order of names."""
        fresh = {name for name, host in snapshot.hosts.items() if host.link.state is LinkState.CONNECTED}
        ages = {name: whole_age_s(host, now) for name, host in snapshot.hosts.items() if name not in fresh}
        loads, hosts = snapshot.loads, snapshot.hosts
        vms = self._in_order(snapshot)
        rows = [
            VmRow(
                vm,
                loads.get(vm.uuid),
                self._pinned(vm, hosts.get(vm.host or "")),
                vm.host in fresh,
                ages.get(vm.host or ""),
            )
            for vm in vms
        ]
        if len(self._known) > 2 * len(rows):
            self._known = {vm.uuid: self._known[vm.uuid] for vm in vms}
        return rows

    def _in_order(self, snapshot: ClusterSnapshot) -> list[Vm]:
        """By name; sorted anew only when a VM came, went or was renamed."""
        names = [(uuid, vm.name) for uuid, vm in snapshot.vms.items()]
        if names != self._names:
            self._names = names
            self._order = [uuid for uuid, name in sorted(names, key=lambda item: fmt.natural(item[1]))]
        return [snapshot.vms[uuid] for uuid in self._order]

    def _pinned(self, vm: Vm, host: Host | None) -> str:
        topology = host.topology if host is not None else None
        known = self._known.get(vm.uuid)
        if known is not None and known[0] is vm and known[1] is topology:
            return known[2]
        text = pinning_text(vm, topology)
        self._known[vm.uuid] = (vm, topology, text)
        return text


def pinning_text(vm: Vm, topology: HostTopology | None) -> str:
    """What is pinned now, in a few words; empty where nothing is.

    >>> from hpconsole.core.model.vm import CpuPinning
    >>> pinning_text(Vm("u", "n", vcpus=2, pinning=CpuPinning(((0, CpuSet.of([1])), (1, CpuSet.of([2]))))), None)
    '2 vCPUs'
    """
    pinned = len(vm.pinning.vcpus)
    memory_nodes = CpuSet.of(node for virtual in vm.virtual_nodes for node in virtual.host_nodes)
    if vm.numa_tune is not None:
        memory_nodes |= vm.numa_tune.nodeset
    if not pinned:
        return f"memory on {nodes_text(memory_nodes)}" if memory_nodes else ""
    cpus = vm.pinning.all_vcpu_cpus
    nodes = CpuSet.of(node.node_id for node in (topology.nodes if topology else ()) if not node.cpus.isdisjoint(cpus))
    which = f"{pinned} of {vm.vcpus} vCPUs" if pinned < vm.vcpus else fmt.count(pinned, "vCPU")
    return f"{which} on {nodes_text(nodes)}" if nodes else which


def nodes_text(nodes: CpuSet) -> str:
    """NUMA nodes by number.

    >>> nodes_text(CpuSet.of([1])), nodes_text(CpuSet.of([0, 1, 2]))
    ('node 1', 'nodes 0-2')
    """
    return f"{'node' if len(nodes) == 1 else 'nodes'} {nodes.format()}"


def key(row: VmRow) -> str:
    """What the row is about."""
    return row.vm.uuid


def facts(row: VmRow) -> object:
    """The part polls rarely change: of a VM whose host does not answer, its age is part of it."""
    return row.vm if row.is_fresh or row.vm.host is None else (row.vm, row.age_s)


def haystack(row: VmRow) -> str:
    """What the search looks at."""
    vm = row.vm
    labels = " ".join(sorted(vm.intent.labels))
    pinned = "pinned" if row.pinned else ""
    return (
        f"{vm.name} {vm.host or ''} {state_text(row)} {TYPE_TEXT[vm.intent.optimized_for]} {pinned} {labels} {vm.uuid}"
    )


def type_text(row: VmRow) -> str:
    """What it is optimised for."""
    return TYPE_TEXT[row.vm.intent.optimized_for]


def mode_text(row: VmRow) -> str:
    """Who may migrate it."""
    return MODE_TEXT[row.vm.intent.migration_mode]


def state_text(row: VmRow) -> str:
    """The state in the window's words."""
    if row.vm.also_running_on:
        return f"on {1 + len(row.vm.also_running_on)} hosts!"
    text = "migrating" if row.vm.is_migrating else row.vm.state.value
    if row.is_fresh or row.vm.host is None:
        return text
    return f"{text} (never seen)" if row.age_s is None else f"{text} (last seen {fmt.seconds(row.age_s)} ago)"


def state_icon(row: VmRow) -> tuple[str, Tone]:
    """The mark beside the name."""
    if row.vm.also_running_on:
        return "warning", Tone.BAD
    if row.vm.is_migrating:
        return "busy", Tone.ACCENT
    name, tone = _STATE_ICON[row.vm.state]
    return name, tone if row.is_fresh else Tone.MUTED


def cpu_share(row: VmRow) -> float | None:
    """CPU load as a share of all its vCPUs."""
    if row.load is None or not row.vm.state.is_active or not row.vm.vcpus:
        return None
    return row.load.cpu_pct / 100 / row.vm.vcpus


def _state_tone(row: VmRow) -> Tone:
    if row.vm.also_running_on:
        return Tone.BAD
    if row.vm.is_migrating:
        return Tone.ACCENT
    return _tone(row)


def _state_tip(row: VmRow) -> str:
    vm = row.vm
    lines = [vm.state_reason] if vm.state_reason else []
    if vm.also_running_on:
        places = fmt.names((vm.host or "?", *vm.also_running_on))
        lines.append(
            f"This VM runs on {places} at the same time. Its disks are in danger. "
            f"Find out which of them is the right one, and stop the others now with “virsh destroy {vm.name}” there."
        )
    if not row.is_fresh and vm.host:
        lines.append(f"{vm.host} does not answer: {state_text(row)}. This is the last that was known.")
    return "\n".join(lines)


def _tone(row: VmRow) -> Tone:
    return Tone.NORMAL if row.is_fresh and row.vm.state.is_active else Tone.MUTED


def _pinned_tip(row: VmRow) -> str:
    vm = row.vm
    lines = [f"CPU pinning: {_POLICY_TEXT[vm.intent.cpu_pinning_policy]}"]
    lines += [f"vCPU {vcpu}: CPU {cpus.format()}" for vcpu, cpus in vm.pinning.vcpus[:16]]
    if len(vm.pinning.vcpus) > 16:
        lines.append(f"… and {len(vm.pinning.vcpus) - 16} more")
    for node in vm.virtual_nodes:
        if node.host_nodes:
            places = CpuSet.of(node.host_nodes)
            lines.append(f"Virtual node {node.node_id}: memory on {nodes_text(places)} ({node.mode.value})")
    if not vm.intent.is_stored:
        lines.append("Read from its present definition; nothing was written to it.")
    return "\n".join(lines) if row.pinned or vm.intent.is_stored else ""


def _load_tone(row: VmRow) -> Tone:
    return _tone(row)


COLUMNS: tuple[Column[VmRow], ...] = (
    Column("VM", lambda r: fmt.natural(r.vm.name), lambda r: r.vm.name, tooltip=lambda r: r.vm.uuid, tone=_tone,
           icon=state_icon, width=190),
    Column("State", state_text, state_text, tooltip=_state_tip, tone=_state_tone, width=215,
           is_toned_when_selected=True),
    Column("Type", type_text, type_text, tone=_tone, width=132),
    Column("Host", lambda r: fmt.natural(r.vm.host or ""), lambda r: r.vm.host or fmt.UNKNOWN, tone=_tone, width=130),
    Column("vCPUs", lambda r: r.vm.vcpus, lambda r: str(r.vm.vcpus), align=Align.RIGHT, tone=_tone, width=66),
    Column("Memory", lambda r: r.vm.memory_kib, lambda r: fmt.kib(r.vm.memory_kib), align=Align.RIGHT, tone=_tone,
           width=92),
    Column("CPU load", cpu_share, lambda r: fmt.pct(None if (s := cpu_share(r)) is None else s * 100),
           align=Align.RIGHT, tone=_load_tone, share=cpu_share, width=160, is_live=True),
    Column("Pinned", lambda r: r.pinned or None, lambda r: r.pinned or "no", tooltip=_pinned_tip,
           tone=lambda r: _tone(r) if r.pinned else Tone.MUTED, width=190),
    Column("Migration", mode_text, mode_text, tone=_tone, width=110),
)  # fmt: skip
