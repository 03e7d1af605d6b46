"""What a poll of a simulated host answers. Cheap on purpose: a hundred hosts are polled every second."""

from __future__ import annotations

import math

from hpconsole.core.hypervisor.port import HostSample, NodeMemory
from hpconsole.core.hypervisor.simulated.daemon import Daemon
from hpconsole.core.hypervisor.simulated.libvirt_numbers import State

_BOOTED_S = 30 * 86_400.0  # before the cluster began
_OWN_SHARE = 0.004  # of all CPUs, for the host's own processes
_MIGRATION_CPUS = 1.2  # busy with one outgoing or incoming migration
_CACHE_SHARE = 0.02  # of a node's memory, page cache
_CACHE_PERIOD_S = 240.0


def sample(daemon: Daemon) -> HostSample:
    """One poll. Call with the cluster's lock held and time advanced."""
    now = daemon.world.now_s
    domains = daemon.domains.values()
    _count_cpu(daemon, now)
    cells, cached, free = _cells(daemon, now)
    model = daemon.model
    busy = daemon.busy_s
    idle = max(0.0, (now + _BOOTED_S) * len(model.online) - busy)
    return HostSample(
        cpu_time_ns={
            "user": int(busy * 0.86e9),
            "kernel": int(busy * 0.14e9),
            "idle": int(idle * 0.998e9),
            "iowait": int(idle * 0.002e9),
        },
        memory=NodeMemory(-1, model.total_kib, free, cached // 8, cached - cached // 8),
        cells=cells,
        free_pages={
            node: {size: daemon.ledger.free_pages(node, size) for size in model.pool}
            for node in range(model.shape.nodes)
        },
        online_cpus=model.online_map,
        domains=daemon.records,
        domain_stats={domain.uuid: domain.stats(now) for domain in domains},
    )


def _count_cpu(daemon: Daemon, now: float) -> None:
    """Add what was used since the last poll to the host's counters; never more than its CPUs can do."""
    seconds = now - daemon.sampled_at
    used = seconds * _OWN_SHARE * len(daemon.model.online)
    for domain in daemon.domains.values():
        if domain.is_active:
            total = domain.cpu_s(now)
            used += total - domain.counted_s
            domain.counted_s = total
            if domain.migration is not None and domain.state is not State.SHUTOFF:
                used += _MIGRATION_CPUS * seconds
    daemon.busy_s += min(used, seconds * len(daemon.model.online))
    daemon.sampled_at = now


def _cells(daemon: Daemon, now: float) -> tuple[tuple[NodeMemory, ...], int, int]:
    """Each node's memory, and the host's page cache and free memory."""
    model, ledger = daemon.model, daemon.ledger
    wave = 1 + 0.3 * math.sin(2 * math.pi * now / _CACHE_PERIOD_S)
    cells, cached, free = [], 0, 0
    for node in range(model.shape.nodes):
        total, there = model.node_kib(node), ledger.free_kib(node)
        cache = min(int(total * _CACHE_SHARE * wave), there // 4)
        cells.append(NodeMemory(node, total, there - cache))
        cached += cache
        free += there - cache
    return tuple(cells), cached, free
