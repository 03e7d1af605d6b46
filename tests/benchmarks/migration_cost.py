"""What does hpconsole itself cost in a migration, and while it watches one? Lab hosts, real QEMU.

    python -m tests.benchmarks.migration_cost [--count 15]

*Cost of a migration*: from `submit` to the verified end, less the time of libvirt's own job as its statistics say it;
and the same less libvirt's whole call, which is what nobody but hpconsole spends. Goal: the latter under 150 ms at the
median. For comparison the bare `virsh migrate` of the same guest, from its start to its end. *Cost of watching*: CPU
time of this process while a migration runs slowly, less that of the same time without one. Goal: under 1 % of one core.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt

from hpconsole.app import App
from hpconsole.core.events import PlanFinished, StepFinished, StepOutcome
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.migration_options import MigrationOptions
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.test_migration import Watch, running_app, wait_for_snapshot

WATCHED_S = 20.0


class _Timed:
    """Times libvirt's own call: virDomainMigrateToURI3, from the call to its answer."""

    def __init__(self) -> None:
        self.calls: list[float] = []
        real = libvirt.virDomain.migrateToURI3

        def migrate(domain: libvirt.virDomain, *arguments: Any) -> int:
            began = time.perf_counter()
            try:
                return real(domain, *arguments)
            finally:
                self.calls.append(time.perf_counter() - began)

        stopwatch: Any = migrate
        libvirt.virDomain.migrateToURI3 = stopwatch  # type: ignore[method-assign]  # around the real one


def _submit(app: App, watch: Watch, guest: Guest, to: str, options: MigrationOptions) -> tuple[float, StepFinished]:
    there = wait_for_snapshot(app, lambda found: _is_at_rest(found.vms.get(guest.uuid), to))
    plan = plan_migration(MigrationIntent((guest.uuid,), to), there, app.policy, app.reservations())
    plan = replace(plan, steps=tuple(replace(step, options=options) for step in plan.steps))
    began = time.perf_counter()
    app.submit(plan)
    watch.wait(lambda event: isinstance(event, PlanFinished) and event.plan.plan_id == plan.plan_id, seconds=120)
    took = time.perf_counter() - began
    (end,) = (event for event in watch.events if isinstance(event, StepFinished) and event.plan_id == plan.plan_id)
    assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    return took, end


def _is_at_rest(vm: Vm | None, to: str) -> bool:
    """Whether it runs elsewhere, and no job is seen of it."""
    return vm is not None and vm.is_running_somewhere and not vm.is_migrating and vm.host != to


def cost_of_migrations(lab: Lab, app: App, count: int) -> list[str]:
    """There and back, so many times."""
    timed, watch = _Timed(), Watch(app)
    guest = lab.guest("a", "small", vcpus=2, memory_mib=64, dirty_mib=8, dirty_mib_s=4)
    own, beyond_job = [], []
    for number in range(count):
        to = "b" if number % 2 == 0 else "a"
        took, _ = _submit(app, watch, guest, to, MigrationOptions())
        assert app.database is not None
        job_s = app.database.journal.records(1)[0].statistics["total_s"]
        own.append(1000 * (took - timed.calls[-1]))
        beyond_job.append(1000 * (took - job_s))
    bare = [_bare_virsh(lab, guest) for _ in range(count)]
    return [
        f"{count} migrations; cost of each, ms:",
        _line("less libvirt's call", own),
        _line("less libvirt's job time", beyond_job),
        _line("bare virsh migrate, less libvirt's job time", bare),
        f"  so that hpconsole costs {statistics.median(beyond_job) - statistics.median(bare):.0f} ms more than virsh",
    ]


def _bare_virsh(lab: Lab, guest: Guest) -> float:
    """`virsh migrate` to the other host, less the job time that the destination's statistics name, ms."""
    (here,) = lab.qemu_processes()[guest.uuid]
    there = "b" if here == "a" else "a"
    flags = ("--live", "--p2p", "--persistent", "--undefinesource", "--abort-on-error")
    uri = lab.host(there).uri
    began = time.perf_counter()
    lab.virsh(here, "migrate", *flags, guest.uuid, uri, "--migrateuri", f"tcp://{lab.host(there).address}")
    took = time.perf_counter() - began
    told = re.search(r"Time elapsed:\s+(\d+)\s+ms", lab.virsh(there, "domjobinfo", guest.uuid, "--completed"))
    assert told is not None
    return 1000 * took - int(told[1])


def _line(name: str, figures: list[float]) -> str:
    ordered = sorted(figures)
    return (
        f"  {name}: median {statistics.median(ordered):.0f}, least {ordered[0]:.0f}, "
        f"90 % below {ordered[int(0.9 * (len(ordered) - 1))]:.0f}"
    )


def cost_of_watching(lab: Lab, app: App) -> list[str]:
    """CPU of the whole process over the same time, without and with a migration under way."""
    guest = lab.guest("a", "slow", vcpus=1, memory_mib=96, dirty_mib=64, dirty_mib_s=1)
    watch = Watch(app)
    wait_for_snapshot(app, lambda found: guest.uuid in found.vms and found.vms[guest.uuid].is_running_somewhere)
    idle_s = _cpu_over(WATCHED_S)
    plan = plan_migration(MigrationIntent((guest.uuid,), "b"), app.store.snapshot, app.policy, app.reservations())
    plan = replace(plan, steps=tuple(replace(step, options=MigrationOptions(bandwidth_mib_s=2)) for step in plan.steps))
    app.submit(plan)
    watch.wait_for_memory()
    busy_s = _cpu_over(WATCHED_S)
    assert app.executor is not None
    app.executor.cancel(plan.plan_id)
    watch.wait(lambda event: isinstance(event, PlanFinished))
    share = 100 * (busy_s - idle_s) / WATCHED_S
    return [
        f"CPU of the process over {WATCHED_S:.0f} s, % of one core: {100 * idle_s / WATCHED_S:.2f} without, "
        f"{100 * busy_s / WATCHED_S:.2f} with a migration: watching it costs {share:.2f}"
    ]


def _cpu_over(seconds: float) -> float:
    before = time.process_time()
    threading.Event().wait(seconds)
    return time.process_time() - before


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=15)
    arguments = parser.parse_args()
    with (
        Lab.start(("a=1x1x8x1:65536", "b=1x1x8x1:65536")) as lab,
        tempfile.TemporaryDirectory() as folder,
        running_app(lab.uris(), Path(folder)) as app,
    ):
        for line in (*cost_of_migrations(lab, app, arguments.count), *cost_of_watching(lab, app)):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
