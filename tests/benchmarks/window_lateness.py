"""How late the window's event loop is while 1,000 VMs on 100 hosts are polled every second, table and curves in sight.

    python -m tests.benchmarks.window_lateness [--seconds 60] [--screen xvfb|offscreen] [--recorded] [--json FILE]

The real program and window over the simulated cluster, on an X server of its own (or on none). 16 hosts are selected,
so that 16 curves for CPU and as many for memory are drawn, each with an hour of history. The simulation runs in the
same process: its CPU (told apart below) is what real hosts would use on their own machines. `--recorded` simulates
everything beforehand and only hands the answers out, as a network would.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpconsole.app import App
    from hpconsole.core.hypervisor.port import HostSample, Hypervisor
    from hpconsole.ui.main_window.window import MainWindow
    from tests.benchmarks.lateness import Lateness

CURVES = 16
WARM_UP_S = 10.0
HOUR_S = 3600
GOAL_P99_MS, GOAL_P999_MS = 8.0, 16.0


@contextlib.contextmanager
def screen(kind: str) -> Iterator[None]:
    """Something to draw on, before Qt is imported: an X server of our own, or memory."""
    if kind == "offscreen":
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        yield
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        os.environ.update(DISPLAY=f":{pipe.readline().strip()}", QT_QPA_PLATFORM="xcb")
    try:
        yield
    finally:
        server.terminate()
        server.wait()


class Timed:
    """A host whose calls are timed: what the simulation itself costs, and how many there were."""

    cpu_s = 0.0
    samples = 0
    _lock = threading.Lock()

    def __init__(self, host: Hypervisor, samples: Iterator[HostSample] | None) -> None:
        self._host = host
        self._samples = samples

    def sample(self) -> HostSample:
        """One poll."""
        began = time.thread_time()
        sample = next(self._samples) if self._samples is not None else self._host.sample()
        with Timed._lock:
            Timed.cpu_s += time.thread_time() - began
            Timed.samples += 1
        return sample

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


def simulated(hosts: int, vms: int, *, rounds: int) -> tuple[dict[str, str], Callable[[str], Hypervisor]]:
    """URIs and opener of the cluster. `rounds` > 0: so many answers of each host are made now."""
    from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster

    moment = [1000.0]
    clock = (lambda: moment[0]) if rounds else time.monotonic
    cluster = SimulatedCluster.large(hosts, vms, clock=clock)
    answers: dict[str, list[HostSample]] = {uri: [] for uri in cluster.uris().values()}
    opened = {uri: cluster.open(uri) for uri in answers}
    for _ in range(rounds):
        moment[0] += 1.0
        for uri, host in opened.items():
            answers[uri].append(host.sample())
    iterators = {uri: iter(made) for uri, made in answers.items()}

    def open_(uri: str) -> Any:
        return Timed(cluster.open(uri), iterators[uri] if rounds else None)

    return cluster.uris(), open_


def remember_an_hour(app: App, names: list[str]) -> None:
    """Fill the history, so that the curves are as long as they get."""
    from hpconsole.core.model.host import Host, HostUsage
    from hpconsole.core.model.snapshot import ClusterSnapshot

    now, noise = datetime.now(UTC), Random(1)
    for ago in range(HOUR_S, 5, -1):
        at = now - timedelta(seconds=ago)
        hosts = {}
        for phase, name in enumerate(names):
            cpu_pct = 35 + 20 * math.sin(ago / 400 + phase) + 6 * math.sin(ago / 13 + phase) + noise.uniform(-4, 4)
            used = 0.5 + 0.1 * math.sin(ago / 900 + 2 * phase)
            usage = HostUsage(at=at, memory_free_kib=int(1e6 * (1 - used)), cpu_pct=cpu_pct)
            hosts[name] = Host(name, memory_kib=1_000_000, usage=usage)
        app.history.record(ClusterSnapshot(serial=1, hosts=hosts))


class Measurement:
    """Begins when all hosts are shown and a while has passed; ends the program when it is over."""

    def __init__(self, window: MainWindow, options: argparse.Namespace) -> None:
        from PySide6.QtCore import QTimer

        self.window = window
        self._options = options
        self.lateness: Lateness | None = None
        self.pauses_ms: list[float] = []
        self.figures: dict[str, float] = {}
        self._pause_began = 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(200)

    def _look(self) -> None:
        from PySide6.QtCore import QTimer

        if self.window.vms.model.rowCount() < self._options.vms or len(self._names()) < self._options.hosts:
            return
        self._timer.stop()
        self.window.vms.view.window().resize(1366, 768)
        self.window.docks.show_load()
        self.window.hosts.selection.select(self._names()[:CURVES])
        QTimer.singleShot(int(WARM_UP_S * 1000), self._begin)

    def _names(self) -> list[str]:
        model = self.window.hosts.model
        return [model.key_at(row) for row in range(model.rowCount())]

    def _begin(self) -> None:
        from PySide6.QtCore import QTimer

        from tests.benchmarks.lateness import LatenessMeter

        assert self.window.docks.load.isVisible()
        assert self.window.vms.view.isVisible()
        assert len(self.window.docks.load.shown_hosts) == CURVES
        if self._options.picture:
            self.window.vms.view.window().grab().save(str(self._options.picture))
        gc.callbacks.append(self._on_collection)
        self._meter = LatenessMeter()
        self._cpu_s, self._gui_s, self._wall_s = time.process_time(), time.thread_time(), time.perf_counter()
        Timed.cpu_s, Timed.samples = 0.0, 0
        self._meter.start()
        QTimer.singleShot(int(self._options.seconds * 1000), self._end)

    def _on_collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._pause_began = time.perf_counter()
        else:
            self.pauses_ms.append((time.perf_counter() - self._pause_began) * 1e3)

    def _end(self) -> None:
        from PySide6.QtWidgets import QApplication

        self.lateness = self._meter.stop()
        gc.callbacks.remove(self._on_collection)
        wall_s = time.perf_counter() - self._wall_s
        self.figures = {
            "polls_per_s": Timed.samples / wall_s,
            "process_cpu_pct": 100 * (time.process_time() - self._cpu_s) / wall_s,
            "gui_thread_cpu_pct": 100 * (time.thread_time() - self._gui_s) / wall_s,
            "simulation_cpu_pct": 100 * Timed.cpu_s / wall_s,
            "gc_pauses": len(self.pauses_ms),
            "gc_longest_ms": max(self.pauses_ms, default=0.0),
            "gc_median_ms": statistics.median(self.pauses_ms or [0.0]),
        }
        QApplication.exit(0)


def measure(options: argparse.Namespace) -> Measurement:
    """Run the program; what was seen."""
    from hpconsole.app import App
    from hpconsole.ui.desktop import run

    rounds = int(options.seconds + WARM_UP_S + 60) if options.recorded else 0
    uris, opener = simulated(options.hosts, options.vms, rounds=rounds)
    app = App(uris, opener=opener)
    remember_an_hour(app, list(uris))
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        run(app, settings=Path(folder) / "w.ini", on_window=lambda window: found.append(Measurement(window, options)))
    return found[0]


def report(measurement: Measurement) -> dict[str, Any]:
    """Print, and the same as a document."""
    lateness = measurement.lateness
    assert lateness is not None, "the window was closed before the end"
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    late = {name: lateness.percentile(share) for name, share in shares.items()}
    own = {name: lateness.percentile(share, own=True) for name, share in shares.items()}
    print(f"{len(lateness.measurements)} ticks")
    for title, values in (("late, ms", late), ("without waiting for a CPU", own)):
        print(f"{title:>26}: " + "  ".join(f"{name} {value:7.2f}" for name, value in values.items()))
    for name, value in measurement.figures.items():
        print(f"{name:>26}: {value:.1f}")
    for bucket, count in lateness.histogram().items():
        print(f"{bucket + ' ms':>26}: {count}")
    return {"late_ms": late, "own_ms": own, **measurement.figures, "histogram": lateness.histogram()}


def main() -> int:
    """1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--vms", type=int, default=1000)
    parser.add_argument("--screen", choices=("xvfb", "offscreen"), default="xvfb")
    parser.add_argument("--recorded", action="store_true", help="simulate beforehand")
    parser.add_argument("--picture", type=Path, help="leave a picture of what was measured")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with screen(options.screen):
        document = report(measure(options))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))
    late = document["late_ms"]
    return int(late["p99"] > GOAL_P99_MS or late["p99.9"] > GOAL_P999_MS)


if __name__ == "__main__":
    sys.exit(main())
