"""One poll of a host through libvirt's bulk calls, in a way that one hung guest cannot stop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import libvirt

from hpconsole.core.errors import HostUnreachable, InvalidXml
from hpconsole.core.hypervisor.capabilities_xml import read_capabilities
from hpconsole.core.hypervisor.lane import Lane
from hpconsole.core.hypervisor.libvirt_connection import Connection
from hpconsole.core.hypervisor.libvirt_errors import UNSUPPORTED
from hpconsole.core.hypervisor.port import DomainRecord, HostSample, NodeMemory, Stats

_T = TypeVar("_T")
_KIB = 1024

# How long a poll waits for the statistics that need the guests' QEMUs; normally they take a few milliseconds.
_STATS_DEADLINE_S = 1.5
_QUICK = libvirt.VIR_DOMAIN_STATS_STATE
_FULL = _QUICK | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which cells and huge-page sizes there are. Cell numbers may have holes, which bulk calls refuse."""

    memory_kib: tuple[tuple[int, int], ...] = ()  # (cell, its memory)
    page_sizes: tuple[int, ...] = ()

    @property
    def runs(self) -> Iterable[tuple[int, int]]:
        """(first cell, number of cells) without holes."""
        cells = sorted(cell for cell, _ in self.memory_kib)
        for _, run in itertools.groupby(enumerate(cells), lambda item: item[1] - item[0]):
            numbers = [cell for _, cell in run]
            yield numbers[0], len(numbers)


class Sampler:
    """Samples one host.

    CPU and memory statistics of guests go through QEMU's monitor (libvirt 9.0: halt-poll times are part of
    CPU_TOTAL). libvirt's NOWAIT skips a guest that another call waits for, but the first call waits for a hung QEMU
    for ever. So that call has a lane of its own; while it is stuck, a poll has states and no guest statistics.

    Args:
        host: For sentences and thread names.
        connection: The connection to use now.
        on_stuck: Called when the statistics hang in that connection, to replace it; again at each poll until it was.
    """

    def __init__(self, host: str, connection: Callable[[], Connection], on_stuck: Callable[[], None]) -> None:
        self._connection = connection
        self._on_stuck = on_stuck
        self._lane = Lane(f"hpc-lane-{host}-stats", subject=host)
        self._layout: _Layout | None = None
        self._unsupported: set[str] = set()

    def learn_layout(self, capabilities_xml: str) -> None:
        """Take cells and page sizes from the host's capabilities."""
        try:
            nodes = read_capabilities(capabilities_xml).topology.nodes
        except InvalidXml:
            nodes = ()  # whoever reads the facts says so
        sizes = {size for node in nodes for size, _ in node.page_totals}
        self._layout = _Layout(tuple((node.node_id, node.memory_kib) for node in nodes), tuple(sorted(sizes)))

    def sample(self) -> HostSample:
        """One poll."""
        self._leave_hung_connection()
        with self._connection().use() as connection:
            if self._layout is None:
                self.learn_layout(connection.getCapabilities())
            layout = self._layout or _Layout()
            cpu_time = (
                self._optional("cpu", lambda: connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)) or {}
            )
            memory = self._memory(connection)
            cells = self._cells(connection, layout)
            pages = self._free_pages(connection, layout)
            online = self._optional("map", lambda: connection.getCPUMap(0)[1]) or []
            transient = _uuids(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT))
            autostart = _uuids(connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART))
        rows = self._domain_stats()
        return HostSample(
            cpu_time_ns=cpu_time,
            memory=memory,
            cells=cells,
            free_pages=pages,
            online_cpus=tuple(online),
            domains=tuple(
                DomainRecord(
                    uuid=uuid,
                    name=name,
                    state=int(stats.get("state.state", 0)),
                    reason=int(stats.get("state.reason", 0)),
                    is_persistent=uuid not in transient,
                    autostart=uuid in autostart,
                )
                for uuid, name, stats in rows
            ),
            domain_stats={uuid: stats for uuid, _, stats in rows},
        )

    def close(self) -> None:
        """End the lane of the statistics; returns at once."""
        self._lane.begin_close()

    def _domain_stats(self) -> list[tuple[str, str, Stats]]:
        connection = self._connection()
        if self._lane.stuck_s is None:
            try:
                return self._lane.call(lambda: self._rows(connection, _FULL), deadline_s=_STATS_DEADLINE_S)
            except HostUnreachable:
                self._leave_hung_connection()
        return self._rows(self._connection(), _QUICK)

    def _leave_hung_connection(self) -> None:
        """Nobody but the statistics' lane can be inside. Where it cannot be replaced, what follows waits for it."""
        if self._connection().is_taken:
            self._on_stuck()

    @staticmethod
    def _rows(connection: Connection, groups: int) -> list[tuple[str, str, Stats]]:
        with connection.use() as raw:
            found = raw.getAllDomainStats(groups, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
            return [(domain.UUIDString(), domain.name(), stats) for domain, stats in found]

    def _memory(self, connection: libvirt.virConnect) -> NodeMemory:
        stats = (
            self._optional("memory", lambda: connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0))
            or {}
        )
        if "total" not in stats:
            return NodeMemory(-1, connection.getInfo()[1] * _KIB, connection.getFreeMemory() // _KIB)
        return NodeMemory(-1, stats["total"], stats["free"], stats.get("buffers", 0), stats.get("cached", 0))

    def _cells(self, connection: libvirt.virConnect, layout: _Layout) -> tuple[NodeMemory, ...]:
        free: dict[int, int] = {}
        for first, count in layout.runs:
            numbers = self._optional("cells", partial(connection.getCellsFreeMemory, first, count)) or []
            free |= {first + index: number // _KIB for index, number in enumerate(numbers)}
        return tuple(NodeMemory(cell, total, free[cell]) for cell, total in layout.memory_kib if cell in free)

    def _free_pages(self, connection: libvirt.virConnect, layout: _Layout) -> Mapping[int, Mapping[int, int]]:
        free: dict[int, Mapping[int, int]] = {}
        for first, count in layout.runs if layout.page_sizes else ():
            ask = partial(connection.getFreePages, list(layout.page_sizes), first, count, 0)
            free |= self._optional("pages", ask) or {}
        return free

    def _optional(self, name: str, call: Callable[[], _T]) -> _T | None:
        """What not every driver can tell; None, and not asked again, once it said so."""
        if name in self._unsupported:
            return None
        try:
            return call()
        except libvirt.libvirtError as error:
            if error.get_error_code() not in UNSUPPORTED:
                raise
            self._unsupported.add(name)
            return None


def _uuids(domains: Iterable[libvirt.virDomain]) -> frozenset[str]:
    return frozenset(domain.UUIDString() for domain in domains)
