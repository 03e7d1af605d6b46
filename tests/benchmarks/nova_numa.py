"""OpenStack nova's NUMA fit over given hosts. Run by a Python that has nova; reads and writes JSON.

In: {"hosts": [[{"memory": MiB free, "cores": [[cpu, sibling] ...], "free": [cpu ...]} per cell] per host],
     "needs": [{"vcpus": n, "memory": MiB} per virtual cell], "repeat": n, "host_s": seconds}
Out: {"fits": [true, false or null (given up after host_s) per host], "us_per_host": microseconds}
"""

from __future__ import annotations

import json
import signal
import sys
import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

from nova import conf, objects  # type: ignore[import-not-found]  # noqa: E402
from nova.objects import fields  # type: ignore[import-not-found]  # noqa: E402
from nova.virt import hardware  # type: ignore[import-not-found]  # noqa: E402

conf.CONF([], project="nova", default_config_files=[])
objects.register_all()


class Slow(Exception):
    """One host took too long."""


def _alarm(*_: object) -> None:
    raise Slow


def host_of(cells: list[dict[str, Any]]) -> Any:
    """A nova host of these cells; what is not free counts as pinned."""
    made = []
    for number, cell in enumerate(cells):
        siblings = [set(core) for core in cell["cores"]]
        cpus = set().union(*siblings)
        pinned = cpus - set(cell["free"])
        total = 65_536
        used = total - int(cell["memory"])
        made.append(
            objects.NUMACell(
                id=number,
                socket=number,
                cpuset=set(),
                pcpuset=cpus,
                memory=total,
                cpu_usage=len(pinned),
                memory_usage=used,
                pinned_cpus=pinned,
                siblings=siblings,
                mempages=[objects.NUMAPagesTopology(size_kb=4, total=total * 256, used=used * 256)],
                network_metadata=objects.NetworkMetadata(physnets=set(), tunneled=False),
            )
        )
    return objects.NUMATopology(cells=made)


def instance_of(needs: list[dict[str, int]]) -> Any:
    """An instance with dedicated CPUs."""
    cells, base = [], 0
    for number, need in enumerate(needs):
        cells.append(
            objects.InstanceNUMACell(
                id=number,
                cpuset=set(),
                pcpuset=set(range(base, base + need["vcpus"])),
                memory=need["memory"],
                pagesize=None,
                cpu_policy=fields.CPUAllocationPolicy.DEDICATED,
                cpu_thread_policy=fields.CPUThreadAllocationPolicy.PREFER,
            )
        )
        base += need["vcpus"]
    return objects.InstanceNUMATopology(cells=cells)


def main() -> None:
    """Time every host; the best of the repetitions counts."""
    task = json.load(sys.stdin)
    hosts = [host_of(cells) for cells in task["hosts"]]
    signal.signal(signal.SIGALRM, _alarm)
    best, verdicts = float("inf"), list[bool | None]()
    for _ in range(task["repeat"] + 1):
        instances = [instance_of(task["needs"]) for _ in hosts]
        verdicts = []
        start = time.perf_counter()
        for host, instance in zip(hosts, instances, strict=True):
            signal.setitimer(signal.ITIMER_REAL, task["host_s"])
            try:
                verdicts.append(hardware.numa_fit_instance_to_host(host, instance, provider_mapping=None) is not None)
            except Slow:
                verdicts.append(None)
            signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.perf_counter() - start
        best = min(best, took)
        if took > 10:
            break
    json.dump({"fits": verdicts, "us_per_host": best / len(hosts) * 1e6}, sys.stdout)


if __name__ == "__main__":
    main()
