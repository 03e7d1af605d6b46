"""Hosts and their NUMA nodes as rows of the host tree: what each column says. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from hpconsole.core.model.host import Host, HostNumaNode, HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone
from hpconsole.ui.widgets.columns import Align, Column

LOST_AFTER_S = 30.0

_STATUS_TEXT = {
    LinkState.CONNECTING: "Connecting…",
    LinkState.CONNECTED: "Connected",
    LinkState.UNRESPONSIVE: "Not responding",
    LinkState.DISCONNECTED: "Disconnected",
    LinkState.REFUSED: "Refused",
}
_LINK_TONE = {
    LinkState.CONNECTING: Tone.MUTED,
    LinkState.CONNECTED: Tone.GOOD,
    LinkState.UNRESPONSIVE: Tone.WARNING,
    LinkState.DISCONNECTED: Tone.BAD,
    LinkState.REFUSED: Tone.BAD,
}


class HostRow(NamedTuple):
    """A host, or one NUMA node of it where `node` is given."""

    host: Host
    vm_count: int
    age_s: int | None  # whole seconds since the host answered; None = never
    node: HostNumaNode | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether its numbers are of now."""
        is_connected = self.host.link.state is LinkState.CONNECTED
        return is_connected and self.age_s is not None and self.age_s <= fmt.STALE_AFTER_S


def host_rows(snapshot: ClusterSnapshot, now: datetime) -> list[HostRow]:
    """One row a host, in natural order of names."""
    return [
        HostRow(host, len(snapshot.vms_on(host.name)), whole_age_s(host, now))
        for host in sorted(snapshot.hosts.values(), key=lambda host: fmt.natural(host.name))
    ]


def node_rows(row: HostRow) -> list[HostRow]:
    """One row for each NUMA node of a host."""
    return [row._replace(node=node) for node in row.host.topology.nodes]


def _vms_text(row: HostRow) -> str:
    if row.node is not None:
        return ""
    return fmt.UNKNOWN if row.age_s is None else str(row.vm_count)  # who never answered may run many


def whole_age_s(host: Host, now: datetime) -> int | None:
    """Seconds since the host answered, without the fraction: it changes once a second."""
    age_s = fmt.age_s(host.link.answered_at, now)
    return None if age_s is None else int(age_s)


def is_simulated(snapshot: ClusterSnapshot) -> bool:
    """Whether this is the demo: hosts of which none exists."""
    return bool(snapshot.hosts) and all(host.uri.startswith("sim://") for host in snapshot.hosts.values())


def key(row: HostRow) -> str:
    """What the row is about."""
    return row.host.name


def facts(row: HostRow) -> object:
    """The part polls rarely change: what the columns that are not live are made from."""
    host, link = row.host, row.host.link
    connection = link.state, link.problem, link.is_encrypted, row.is_fresh
    decision = host.status, host.status_reason
    versions = host.uri, host.libvirt_version, host.hypervisor_version, host.cpu.model
    return host.name, connection, decision, versions, host.topology


def haystack(row: HostRow) -> str:
    """What the search looks at."""
    host = row.host
    return f"{host.name} {host.hostname} {host.uri} {status_text(row)} {' '.join(sorted(host.labels))}"


def status_text(row: HostRow) -> str:
    """Decision and connection in one or two words; the decision is said where it is not the normal one."""
    link = row.host.link
    text = _STATUS_TEXT[link.state]
    if row.host.status is not HostStatus.UP:
        decided = row.host.status.value.capitalize()
        return decided if link.state is LinkState.CONNECTED else f"{decided}, {text.casefold()}"
    if link.state is LinkState.CONNECTED and not link.is_encrypted:
        return "Connected · not encrypted"
    return text


def trouble(host: Host) -> str:
    """Why this host gives no data now, in a sentence; empty where it does."""
    link = host.link
    if link.state in (LinkState.CONNECTED, LinkState.CONNECTING):
        return ""
    said = f"{host.name} is {link.state.value}."
    if not link.problem:
        return said
    return link.problem if host.name in link.problem else f"{said} {link.problem}"


def status_tone(row: HostRow) -> Tone:
    """How worrying the status is."""
    link = row.host.link
    if link.state is not LinkState.CONNECTED:
        return _LINK_TONE[link.state]
    is_normal = row.host.status is HostStatus.UP and link.is_encrypted
    return Tone.NORMAL if is_normal else Tone.WARNING


def memory_used_kib(row: HostRow) -> tuple[float | None, float | None]:
    """(used, total) of the host or the node."""
    if row.node is not None:
        usage = row.host.usage.node(row.node.node_id)
        total = row.node.memory_kib
        return (None if usage is None else max(0, total - usage.free_kib)), total
    total_kib, free_kib = row.host.memory_kib, row.host.usage.memory_free_kib
    used_kib = None if total_kib is None or free_kib is None else max(0, total_kib - free_kib)
    return used_kib, total_kib


def cpu_pct(row: HostRow) -> float | None:
    """CPU load of the host, or the mean over the node's CPUs where the host tells each CPU's."""
    if row.node is None:
        return row.host.usage.cpu_pct
    told = [load for cpu_id, load in row.host.usage.cpu_usage_pct if cpu_id in row.node.cpus]
    return sum(told) / len(told) if told else None


def free_pages(row: HostRow) -> dict[int, tuple[int, int]]:
    """(free, total) huge pages by page size in KiB; sizes of which the host has none are left out."""
    pages: dict[int, tuple[int, int]] = {}
    for node in row.host.topology.nodes:
        if row.node is not None and node.node_id != row.node.node_id:
            continue
        usage = row.host.usage.node(node.node_id)
        totals = dict(usage.total_pages if usage is not None and usage.total_pages else node.page_totals)
        free = dict(usage.free_pages) if usage is not None else {}
        for size_kib, total in totals.items():
            if total:
                had_free, had_total = pages.get(size_kib, (0, 0))
                pages[size_kib] = (had_free + free.get(size_kib, 0), had_total + total)
    return pages


def pages_text(row: HostRow) -> str:
    """Free huge pages of each size."""
    pages = free_pages(row)
    if not pages:
        return "none" if row.host.topology.nodes else fmt.UNKNOWN
    sizes = (f"{fmt.page_size(size)}: {free}/{total}" for size, (free, total) in sorted(pages.items()))
    return "  ·  ".join(sizes)


def cpus_text(row: HostRow) -> str:
    """How many logical CPUs, and how they are built; of a node, their numbers."""
    topology = row.host.topology
    if row.node is not None:
        return row.node.cpus.format() or "no CPUs"
    threads, cores, sockets = topology.threads, topology.cores, topology.sockets
    if not threads:
        return fmt.UNKNOWN
    if not cores or not sockets or sockets * (cores // sockets) * (threads // cores) != threads:
        return str(threads)  # some CPUs are offline: no product of round numbers
    return f"{threads}  ({sockets} × {cores // sockets} × {threads // cores})"


def _name(row: HostRow) -> str:
    return row.host.name if row.node is None else f"Node {row.node.node_id}"


def _name_icon(row: HostRow) -> tuple[str, Tone]:
    if row.node is not None:
        return "node", Tone.MUTED
    return "host", _LINK_TONE[row.host.link.state]


def _name_tip(row: HostRow) -> str:
    host = row.host
    if row.node is not None:
        near = ", ".join(f"node {node}: {distance}" for node, distance in row.node.distances)
        return f"NUMA node {row.node.node_id} of {host.name}" + (f"\nDistances: {near}" if near else "")
    lines = [host.uri, f"libvirt {fmt.version(host.libvirt_version)}, QEMU {fmt.version(host.hypervisor_version)}"]
    if host.cpu.model:
        lines.append(f"CPU model {host.cpu.model}")
    return "\n".join(lines)


def _status_tip(row: HostRow) -> str:
    link = row.host.link
    lines = [text for text in (row.host.status_reason, link.problem) if text]
    if not link.is_encrypted:
        lines.append("This connection is not encrypted: anybody on the way can read and change it.")
    return "\n".join(lines)


def _pages_tip(row: HostRow) -> str:
    lines = [
        f"{fmt.kib(size)} pages: {free} of {total} free ({fmt.kib(free * size)})"
        for size, (free, total) in sorted(free_pages(row).items())
    ]
    return "\n".join(lines)


def _age_tone(row: HostRow) -> Tone:
    if row.age_s is None or row.node is not None:
        return Tone.MUTED
    if row.age_s > LOST_AFTER_S:
        return Tone.BAD
    return Tone.WARNING if row.age_s > fmt.STALE_AFTER_S else Tone.MUTED


def _age_text(row: HostRow) -> str:
    if row.node is not None:
        return ""
    if row.age_s is None:
        return "no data yet"
    if row.age_s > fmt.STALE_AFTER_S:
        return f"stale {fmt.seconds(row.age_s)}"
    return "now" if row.age_s < fmt.NOW_S else f"{row.age_s} s ago"


def _number_tone(row: HostRow) -> Tone:
    return Tone.NORMAL if row.is_fresh else Tone.MUTED


def _load_tone(row: HostRow) -> Tone:
    load = cpu_pct(row)
    if not row.is_fresh or load is None:
        return Tone.MUTED
    return Tone.WARNING if load >= 90 else Tone.NORMAL


def _memory_share(row: HostRow) -> float | None:
    used, total = memory_used_kib(row)
    return used / total if used is not None and total else None


def _memory_tone(row: HostRow) -> Tone:
    share = _memory_share(row)
    if not row.is_fresh or share is None:
        return Tone.MUTED
    return Tone.WARNING if share >= 0.95 else Tone.NORMAL


def _load_share(row: HostRow) -> float | None:
    load = cpu_pct(row)
    return None if load is None else load / 100


COLUMNS: tuple[Column[HostRow], ...] = (
    Column("Host", lambda r: fmt.natural(r.host.name), _name, tooltip=_name_tip, icon=_name_icon, width=190),
    Column(
        "Status", lambda r: (status_tone(r).value, status_text(r)),
        lambda r: "" if r.node is not None else status_text(r), tooltip=_status_tip, tone=status_tone, width=225,
        is_toned_when_selected=True,
    ),
    Column(
        "CPU load", cpu_pct, lambda r: fmt.pct(cpu_pct(r)), align=Align.RIGHT, tone=_load_tone, share=_load_share,
        width=160, is_live=True,
    ),
    Column(
        "Memory used", _memory_share, lambda r: fmt.kib_of(*memory_used_kib(r)), align=Align.RIGHT, tone=_memory_tone,
        share=_memory_share, widest="1023 / 1023 GiB", width=225, is_live=True,
    ),
    Column(
        "Huge pages free", lambda r: sum(size * free for size, (free, _) in free_pages(r).items()), pages_text,
        tone=_number_tone, width=315, is_live=True, tooltip=_pages_tip,
    ),
    Column(
        "VMs", lambda r: r.vm_count, _vms_text, align=Align.RIGHT,
        tone=_number_tone, width=56, is_live=True,
    ),
    Column(
        "Updated", lambda r: r.age_s, _age_text, tone=_age_tone, width=135, is_live=True,
        is_toned_when_selected=True,
    ),
    Column(
        "CPUs", lambda r: r.host.topology.threads, cpus_text, tone=_number_tone, width=140,
        tooltip=lambda r: "" if r.node else "Logical CPUs (sockets × cores × threads)",
    ),
)  # fmt: skip


def cluster_summary(rows: Iterable[HostRow], snapshot: ClusterSnapshot) -> str:
    """The status bar's line about the whole cluster."""
    rows = tuple(rows)
    connected = sum(row.host.link.state is LinkState.CONNECTED for row in rows)
    running = sum(row.vm_count for row in rows)
    hosts = fmt.count(len(rows), "host")
    if connected != len(rows):
        hosts += f" ({connected} connected)"
    used = sum(memory_used_kib(row)[0] or 0 for row in rows)
    total = sum(row.host.memory_kib or 0 for row in rows)
    parts = [
        hosts,
        f"{fmt.count(len(snapshot.vms), 'VM')}, {running} running",
        f"{fmt.kib_of(used, total)} memory used",
    ]
    return "   ·   ".join(["simulated cluster", *parts] if is_simulated(snapshot) else parts)
