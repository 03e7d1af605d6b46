"""The ways a migration can be made, seen on the hosts: schedules, TLS, post-copy, limits, the queue, forecast, checks.

Those that take long are asked for: `python -m pytest tests/lab/test_migration_ways.py -m long`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.app import App
from hpconsole.core.events import Notice, PlanFinished, StepFinished, StepOutcome, StepProgressed, StepStarted
from hpconsole.core.execution.steering import JobChange
from hpconsole.core.planning.forecast import Verdict
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.migration_options import MigrationOptions
from hpconsole.core.planning.plan import Plan
from hpconsole.core.planning.preflight_findings import Severity
from tests.lab.commands import wait_until
from tests.lab.guests import Guest, disk_image
from tests.lab.lab import Lab
from tests.lab.proof import check_goes_on, check_is_on
from tests.lab.test_migration import Watch, plan_for, running_app, wait_for_snapshot
from tests.lab.typed import say

STEPS_MS = (100, 150, 200, 300, 400, 500)
VERY_LARGE_MS = (300, 400, 500, 700, 1000, 1500)


def plan_with(app: App, guest: Guest, to: str, **wanted: object) -> Plan:
    plan = plan_for(app, guest, to)
    options = MigrationOptions(**wanted)  # type: ignore[arg-type]  # tests say what they mean
    return replace(plan, steps=tuple(replace(step, options=options) for step in plan.steps))


def asked(lab: Lab, guest: Guest, command: str) -> int | None:
    """What the source's own libvirt answers about the migration under way, as a number."""
    told = lab.virsh("a", command, guest.uuid, check=False)
    found = re.search(r"\d+", told)
    return int(found[0]) if found is not None else None


@contextmanager
def lifecycle(lab: Lab, host: str) -> Iterator[list[str]]:
    """What a host's own libvirt tells of its guests' lives meanwhile, a line each; complete after the block."""
    told: list[str] = []
    words = ("virsh", "-c", lab.host(host).uri, "event", "--event", "lifecycle", "--loop", "--timeout", "120")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
        try:
            yield told
        finally:
            listener.terminate()
            assert listener.stdout is not None
            told += listener.stdout.read().splitlines()


def connections_to(lab: Lab, port_from: int = 49152, port_to: int = 49215) -> int:
    """How many connections the source's kernel has to ports that QEMU takes for migrations."""
    told = lab.host("a").run("ss", "-Htn", "state", "established", check=False).stdout
    ports = (int(line.split()[-1].rpartition(":")[2]) for line in told.splitlines() if line.split())
    return sum(port_from <= port <= port_to for port in ports)


class Witness:
    """Looks at the source's QEMU while a migration runs, again and again, from a thread of its own."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.seen: list[object] = []
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.seen.append(self._look())

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


# --- schedules ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stubborn(lab: Lab) -> Guest:
    """Writes to all of its 24 MiB as fast as it can: over 24 MiB/s pre-copy never ends by itself."""
    return lab.guest("a", "busy", vcpus=1, memory_mib=64, dirty_mib=24, dirty_mib_s=None)


def seen_limits(lab: Lab, guest: Guest) -> Witness:
    return Witness(lambda: asked(lab, guest, "migrate-getmaxdowntime"))


@pytest.mark.long
def test_the_post_copy_preset_switches_a_guest_that_never_converges(lab: Lab, stubborn: Guest, tmp_path: Path) -> None:
    ticks = lab.heartbeat("a", stubborn)
    with lifecycle(lab, "b") as told, running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        # without auto-converge: a throttled guest may converge, which is another test
        app.submit(plan_with(app, stubborn, "b", policy_id="post_copy", bandwidth_mib_s=24, auto_converge=False))
        end = watch.end()
    assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    assert any("Resumed Post-copy" in line for line in told), told
    limits = {event.progress.downtime_limit_ms for event in watch.events if isinstance(event, StepProgressed)}
    assert {100, 150, 200} <= limits
    check_is_on(lab, "b", stubborn, not_on="a")
    check_goes_on(lab, "b", stubborn, since=ticks)


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "steps", "outcome", "last"),
    [
        ("minimal_downtime", STEPS_MS, StepOutcome.FAILED, 500),
        ("suspend_workload_if_needed", STEPS_MS, StepOutcome.DONE, 5000),
        ("very_large_vms", VERY_LARGE_MS, StepOutcome.DONE, 5000),
    ],
)
def test_each_preset_raises_the_pause_step_by_step_and_comes_to_its_last_resort(
    lab: Lab, tmp_path: Path, policy: str, steps: tuple[int, ...], outcome: StepOutcome, last: int
) -> None:
    guest = lab.guest("a", "busy", vcpus=1, memory_mib=128, dirty_mib=40, dirty_mib_s=None)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        # neither slowed down nor compressed: both would make it converge, or crawl, before the schedule is through
        wanted = {"policy_id": policy, "bandwidth_mib_s": 16, "auto_converge": False, "compressed": False}
        app.submit(plan_with(app, guest, "b", **wanted))
        with seen_limits(lab, guest) as limits:
            end = watch.end()
    assert end.outcome is outcome, (end.sentence, end.detail)
    told = list(dict.fromkeys(limit for limit in limits.seen if isinstance(limit, int)))
    told = told[told.index(steps[0]) :]  # before that QEMU's own default
    expected = [*steps, last] if last not in steps else list(steps)
    # on a busy machine the witness may miss one of them, and the last may be over before it looks again
    assert told == [limit for limit in expected if limit in told], (
        "QEMU itself was given the schedule's pauses, in order"
    )
    assert len(told) >= len(expected) - 2
    if outcome is StepOutcome.FAILED:
        assert "made no headway" in end.sentence
    here, there = ("b", "a") if outcome is StepOutcome.DONE else ("a", "b")
    check_is_on(lab, here, guest, not_on=there)


# --- while it runs --------------------------------------------------------------------------------------------------


def test_bandwidth_pause_and_post_copy_are_changed_while_it_runs(lab: Lab, stubborn: Guest, tmp_path: Path) -> None:
    with lifecycle(lab, "b") as told, running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        plan = plan_with(app, stubborn, "b", bandwidth_mib_s=8, post_copy=True, auto_converge=False)
        app.submit(plan)
        watch.wait_for_memory()
        assert app.executor is not None
        control = app.executor.control
        control.steer(plan.plan_id, 0, JobChange(bandwidth_mib_s=12, downtime_ms=130))
        watch.wait(lambda event: isinstance(event, Notice) and "130 ms" in event.sentence)
        assert asked(lab, stubborn, "migrate-getspeed") == 12
        assert asked(lab, stubborn, "migrate-getmaxdowntime") == 130
        # what another process does: the command line of somebody else
        said = say(lab, tmp_path / "other", "job", "busy", "--bandwidth", "16")
        assert said["job"]["remaining_mib"] > 0
        assert asked(lab, stubborn, "migrate-getspeed") == 16
        control.steer(plan.plan_id, 0, JobChange(post_copy=True))
        end = watch.end()
    assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    assert any(isinstance(event, Notice) and "switched to post-copy" in event.sentence for event in watch.events)
    assert any("Resumed Post-copy" in line for line in told), told
    check_is_on(lab, "b", stubborn, not_on="a")


# --- TLS ------------------------------------------------------------------------------------------------------------


QEMU_STREAM, TLS_HANDSHAKE = b"QEVM", b"\x16\x03"
LISTEN = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("listening", flush=True)
while True:
    frame = wire.recv(65536)
    ip = frame[14:]
    if frame[12:14] != b"\\x08\\x00" or ip[9] != 6:
        continue
    tcp = ip[4 * (ip[0] & 15):]
    data = tcp[4 * (tcp[12] >> 4):int.from_bytes(ip[2:4], "big") - 4 * (ip[0] & 15)]
    source, destination = int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big")
    is_answer = source < 32768  # of a daemon, to somebody who happens to have a port of QEMU's range
    if 49152 <= destination <= 49215 and not is_answer and data:
        print(data[:4].hex(), flush=True)
        break
"""


def first_bytes_on_the_wire(lab: Lab, guest: Guest, folder: Path, *, tls: bool) -> bytes:
    """What the source sends first to the port where the destination's QEMU waits, seen on its network card."""
    enter = ("nsenter", "-t", str(lab.host("a").init_pid), "-n", sys.executable, "-c", LISTEN)
    with (
        subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as listener,
        running_app(lab.uris(), folder) as app,
    ):
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline().strip() == "listening"
            watch = Watch(app)
            app.submit(plan_with(app, guest, "b", tls=tls, bandwidth_mib_s=64))
            end = watch.end()
            assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
            return bytes.fromhex(listener.stdout.readline().strip())
        finally:
            listener.kill()


@pytest.mark.parametrize(
    ("tls", "begins_with"), [(True, TLS_HANDSHAKE), pytest.param(False, QEMU_STREAM, marks=pytest.mark.long)]
)
def test_memory_is_encrypted_where_it_is_asked_for(lab: Lab, tmp_path: Path, tls: bool, begins_with: bytes) -> None:
    guest = lab.guest("a", "secret", vcpus=1, memory_mib=32, dirty_mib=8, dirty_mib_s=2)
    assert first_bytes_on_the_wire(lab, guest, tmp_path, tls=tls).startswith(begins_with)
    check_is_on(lab, "b", guest, not_on="a")


@pytest.mark.long
def test_without_the_other_s_certificate_an_encrypted_migration_is_refused(lab: Lab, tmp_path: Path) -> None:
    """QEMU really shakes hands: with a certificate of somebody else there the very same migration fails."""
    guest = lab.guest("a", "secret", vcpus=1, memory_mib=48, dirty_mib=4, dirty_mib_s=2)
    authority = lab.host("b").folder / "etc/pki/qemu/ca-cert.pem"
    true = authority.read_bytes()
    try:
        strange = lab.folder / "strange"
        if not strange.exists():
            from tests.lab.certificates import Authority

            Authority(strange)
        authority.write_bytes((strange / "cacert.pem").read_bytes())
        with running_app(lab.uris(), tmp_path) as app:
            watch = Watch(app)
            app.submit(plan_with(app, guest, "b", tls=True))
            end = watch.end()
    finally:
        authority.write_bytes(true)
    assert end.outcome is StepOutcome.FAILED, (end.sentence, end.detail)
    assert "secret still runs on a" in end.sentence
    check_is_on(lab, "a", guest, not_on="b")


# --- parallel connections -------------------------------------------------------------------------------------------


@pytest.mark.long
def test_memory_goes_over_several_connections(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "wide", vcpus=2, memory_mib=96, dirty_mib=48, dirty_mib_s=2)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_with(app, guest, "b", parallel_connections=2, bandwidth_mib_s=32))
        with Witness(lambda: connections_to(lab)) as connections:
            end = watch.end()
    assert end.outcome is StepOutcome.DONE, (end.sentence, end.detail)
    assert 3 in connections.seen, "two for memory, one for the rest"
    check_is_on(lab, "b", guest, not_on="a")


# --- the queue ------------------------------------------------------------------------------------------------------


@contextmanager
def counting_arrivals(lab: Lab, host: str) -> Iterator[list[int]]:
    """How many guests arrive at a host at a time, as its own libvirt lists them, sampled all the while."""
    most: list[int] = []

    def look() -> int:
        listed = lab.virsh(host, "list", "--state-paused", "--name", check=False).split()
        most.append(len(listed))
        return len(listed)

    with Witness(look):
        yield most


@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.long)])
def test_many_guests_go_through_the_queue_within_the_limits(lab: Lab, tmp_path: Path, count: int) -> None:
    guests = [lab.guest("a", f"small-{n}", vcpus=1, memory_mib=16, dirty_mib=0) for n in range(count)]
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        uuids = tuple(guest.uuid for guest in guests)
        snapshot = wait_for_snapshot(
            app, lambda found: all(uuid in found.vms and found.vms[uuid].is_running_somewhere for uuid in uuids)
        )
        plan = plan_migration(MigrationIntent(uuids, "b"), snapshot, app.policy, app.reservations())
        assert app.executor is not None
        with counting_arrivals(lab, "b") as arrivals:
            app.submit(plan)
            watch.wait(lambda event: isinstance(event, StepStarted))
            waiting = [status for status in app.executor.running() if status.waiting_for]
            watch.wait(lambda event: isinstance(event, PlanFinished), seconds=300)
        ends = [event for event in watch.events if isinstance(event, StepFinished)]
    assert all(end.outcome is StepOutcome.DONE for end in ends), [end.sentence for end in ends]
    assert len(ends) == count
    assert len(waiting) >= count - 4
    assert all("migrations" in status.waiting_for for status in waiting), waiting
    assert 1 <= max(arrivals) <= 2, "libvirt itself never had more than two incoming guests at a time"
    assert lab.qemu_processes() == dict.fromkeys(uuids, ("b",))


# --- before it moves ------------------------------------------------------------------------------------------------


def test_the_forecast_and_the_checks_come_true(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "plain", vcpus=1, memory_mib=256, dirty_mib=40, dirty_mib_s=4)
    told = say(lab, tmp_path, "migrate", "plain", "--to", "b", "--bandwidth", "32", "--dry-run")
    (check,), (seen,) = told["checks"], told["forecasts"]
    assert check["errors"] == 0
    assert any(one["kind"] == "address" and lab.host("b").address in one["sentence"] for one in check["findings"])
    assert seen["verdict"] == Verdict.CONVERGES.value  # where the machine has no CPU to spare, too: it writes little
    assert seen["to_move_mib"] == pytest.approx(40, abs=16)
    assert seen["dirty_mib_s"] == pytest.approx(4, abs=4)
    with running_app(lab.uris(), tmp_path) as app:
        watch = Watch(app)
        app.submit(plan_with(app, guest, "b", bandwidth_mib_s=32))
        assert watch.end().outcome is StepOutcome.DONE
        assert app.database is not None
        (record,) = app.database.journal.records()
    assert record.facts["options"] == {"bandwidth_mib_s": 32}
    assert record.facts["forecast"]["total_s"] > 0
    assert record.statistics["sent_mib"] == pytest.approx(55, abs=30)
    # roughly, on a machine that may be loaded: how exactly is measured by tests.benchmarks.forecast_error
    assert 0.2 * record.statistics["total_s"] <= seen["total_s"] <= 5 * record.statistics["total_s"]


def test_the_way_is_tried_from_the_source_and_neither_guest_nor_destination_notices(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "probed", vcpus=1, memory_mib=32, dirty_mib=8, dirty_mib_s=1)
    ticks = lab.heartbeat("a", guest)
    uris = lab.uris() | {"b": lab.host("b").uri_ssh}  # over ssh libvirt loses the answer every now and then
    with lifecycle(lab, "b") as told, running_app(uris, tmp_path) as app:
        wait_for_snapshot(app, lambda found: guest.uuid in found.vms)

        def way() -> str:
            (found,) = [one for one in app.advice.check(guest.uuid, "b").findings if one.kind == "address"]
            return found.sentence

        wait_until(lambda: "a reached the libvirt of b" in way(), within_s=60, complaint="never reached")
        lab.fault.block_management("a", "c")
        (cut,) = [one for one in app.advice.check(guest.uuid, "c").warnings if one.kind == "address"]
    assert "a cannot reach the libvirt of c" in cut.sentence
    assert not [line for line in told if guest.uuid in line or "probed" in line], told
    check_is_on(lab, "a", guest, not_on="b")
    check_goes_on(lab, "a", guest, since=ticks)


def test_a_disk_that_is_another_file_on_the_destination_is_found_before_anything_moves(
    lab: Lab, tmp_path: Path
) -> None:
    guest = lab.guest("a", "shared", vcpus=1, memory_mib=32, dirty_mib=0, disk=True)
    disk = disk_image(lab.folder / "guests" / "any", guest.uuid)
    folder = str(disk.parent)

    def found(app: App) -> list[tuple[Severity, str]]:
        checked = app.advice.check(guest.uuid, "b").findings
        return [(one.severity, one.sentence) for one in checked if one.kind == "storage" and disk.name in one.sentence]

    try:
        for host in "ab":
            lab.virsh(host, "pool-create-as", "disks", "dir", "--target", folder)
        with running_app(lab.uris(), tmp_path / "data") as app:
            wait_for_snapshot(app, lambda seen: guest.uuid in seen.vms)
            assert found(app) == [], "one file on shared storage"
            lab.host("b").run("mount", "-t", "tmpfs", "tmpfs", folder)
            lab.host("b").run("touch", "-d", "2 days ago", str(disk))
            lab.virsh("b", "pool-refresh", "disks")
            ((severity, sentence),) = found(app)
            assert severity is Severity.WARNING
            assert "seem to be two files" in sentence
            lab.host("b").run("rm", str(disk))
            lab.virsh("b", "pool-refresh", "disks")
            assert [severity for severity, _ in found(app)] == [Severity.ERROR], "none at all"
    finally:
        lab.host("b").run("umount", folder, check=False)
        for host in "ab":
            lab.virsh(host, "pool-destroy", "disks", check=False)


def test_a_cpu_that_the_destination_cannot_give_is_found_before_anything_moves(lab: Lab, tmp_path: Path) -> None:
    guest = lab.guest("a", "modern", vcpus=1, memory_mib=32, dirty_mib=0)
    with running_app(lab.uris(), tmp_path) as app:
        wait_for_snapshot(app, lambda found: guest.uuid in found.vms)
        assert app.advice.check(guest.uuid, "b").errors == ()
        told = app.pool.call(
            "b",
            lambda host: host.compare_cpu(
                "<cpu mode='custom' match='exact'><model>Skylake-Server</model></cpu>",
                arch="x86_64",
                machine="pc",
                virt_type="qemu",
            ),
            deadline_s=10,
        )
    assert re.search("does not provide required features: .*avx512", told)
