"""What one poll costs: three real hosts of the lab with a few guests each (root and Debian's packages needed).

    python -m tests.benchmarks.polling_cost [--rounds 60] [--guests 4] [--json FILE]

First host by host, one poll after the other, on one thread: wall time, and CPU of this process (what libvirtd uses is
told apart). Then the whole program at its normal pace, without a window: CPU per second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from hpconsole.app import App
from hpconsole.core.hypervisor.libvirt_host import open_libvirt
from hpconsole.core.model.host import LinkState
from hpconsole.core.rounds import HostReader, HostRound, RoundSettings
from tests.lab.commands import wait_until
from tests.lab.lab import Lab

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
Figures = dict[str, float]


def daemon_cpu_s(lab: Lab, host: str) -> float:
    """CPU that the host's libvirtd has used so far."""
    pid = lab.host(host).daemon_pid()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * TICK_S


def one_after_the_other(lab: Lab, host: str, uri: str, rounds: int) -> Figures:
    """The cost of the first poll (everything is read) and of the following ones (what changes)."""
    settings = RoundSettings(slow_every_s=1e9, sweep_every_s=1e9)
    reader = HostReader(host, uri, settings, clock=time.monotonic, now=lambda: datetime.now(UTC))
    with closing(open_libvirt(uri)) as hypervisor:
        began = time.perf_counter()
        known: HostRound = reader.read(hypervisor, None, None)
        first_ms = (time.perf_counter() - began) * 1e3
        walls: list[float] = []
        cpu_s, daemon_s = time.process_time(), daemon_cpu_s(lab, host)
        for _ in range(rounds):
            began = time.perf_counter()
            known = reader.read(hypervisor, known, frozenset())
            walls.append((time.perf_counter() - began) * 1e3)
        cpu_s, daemon_s = time.process_time() - cpu_s, daemon_cpu_s(lab, host) - daemon_s
    return {
        "vms": len(known.vms),
        "first_ms": first_ms,
        "wall_ms_median": statistics.median(walls),
        "wall_ms_p95": sorted(walls)[int(len(walls) * 0.95)],
        "cpu_ms": cpu_s / rounds * 1e3,
        "libvirtd_cpu_ms": daemon_s / rounds * 1e3,
    }


def the_whole_program(lab: Lab, seconds: float) -> Figures:
    """Three hosts at their normal pace of a poll a second each."""
    app = App(lab.uris())
    app.start()
    try:
        wait_until(
            lambda: [host.link.state for host in app.store.snapshot.hosts.values()] == [LinkState.CONNECTED] * 3,
            within_s=30,
            complaint="not all hosts answered",
        )
        time.sleep(3)
        serial, cpu_s, began = app.store.snapshot.serial, time.process_time(), time.perf_counter()
        time.sleep(seconds)
        wall_s = time.perf_counter() - began
        return {
            "snapshots_per_s": (app.store.snapshot.serial - serial) / wall_s,
            "cpu_pct": (time.process_time() - cpu_s) / wall_s * 100,
            "cpu_ms_per_poll": (time.process_time() - cpu_s) / wall_s / 3 * 1e3,
        }
    finally:
        app.close()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--guests", type=int, default=4, help="on each host")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    document: dict[str, Figures] = {}
    with Lab.start() as lab:
        os.environ.update(lab.environment())
        for host in lab.hosts:
            for number in range(options.guests):
                lab.guest(host.name, f"{host.name}-{number}", memory_mib=32, dirty_mib=0)
        for host in lab.hosts:
            document[f"{host.name} tcp"] = one_after_the_other(lab, host.name, host.uri, options.rounds)
        for kind, uri in (("ssh", lab.host("b").uri_ssh), ("tls", lab.host("b").uri_tls)):
            document[f"b {kind}"] = one_after_the_other(lab, "b", uri, options.rounds)
        document["program"] = the_whole_program(lab, options.seconds)
    for title, figures in document.items():
        print(f"{title:>8}: " + "  ".join(f"{name} {value:.1f}" for name, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
