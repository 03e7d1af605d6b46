"""The connection to real hosts: three transports, frozen and killed daemons, hung guests, events, polls under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from hpconsole.core.errors import AuthenticationFailed, HostUnreachable, HypervisorError, OperationRefused
from hpconsole.core.hypervisor.libvirt_host import LibvirtHost, open_libvirt
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainEvent, DomainEventKind, MigrationRequest, MigrationTransport
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VmState
from hpconsole.core.polling import Poller
from hpconsole.core.store import Store
from tests.lab.host import Host
from tests.lab.lab import Lab

TRANSPORTS: dict[str, Callable[[Host], str]] = {
    "tcp": lambda host: host.uri,
    "ssh": lambda host: host.uri_ssh,
    "tls": lambda host: host.uri_tls,
}


class Watch:
    """A pool and a poller over the lab, every snapshot they published, and the oldest age of each host's data."""

    def __init__(self, lab: Lab, uri: Callable[[Host], str] = TRANSPORTS["tcp"]) -> None:
        self.store = Store()
        self.pool = ConnectionPool(open_libvirt)
        self.poller = Poller(self.pool, self.store)
        self.snapshots: list[ClusterSnapshot] = []
        self._changed = threading.Condition()
        self.store.subscribe(self._on_snapshot)
        for host in lab.hosts:
            self.pool.add(host.name, uri(host))
        self.poller.start()

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        with self._changed:
            self.snapshots.append(snapshot)
            self._changed.notify_all()

    def wait(self, is_wanted: Callable[[ClusterSnapshot], bool], *, within_s: float = 30) -> ClusterSnapshot:
        """The first snapshot from now on that is as wanted."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.snapshots and is_wanted(self.snapshots[-1]), within_s)
            newest = self.snapshots[-1] if self.snapshots else None
            assert done, f"not within {within_s} s; the newest is {newest}"
            return self.snapshots[-1]

    def wait_for_link(self, host: str, state: LinkState, *, within_s: float = 30) -> ClusterSnapshot:
        """The first snapshot from now on in which the link is so."""
        return self.wait(lambda seen: host in seen.hosts and seen.hosts[host].link.state is state, within_s=within_s)

    def wait_answered(self) -> ClusterSnapshot:
        """A snapshot in which all hosts are connected and read."""
        return self.wait(lambda seen: all(host.is_candidate for host in seen.hosts.values()) and len(seen.hosts) == 3)

    def oldest_data_s(self, host: str, since: datetime) -> float:
        """The longest time between two polls of a host since then (and until now)."""
        ats = {snapshot.hosts[host].usage.at for snapshot in self.snapshots}
        moments = sorted(at for at in ats if at is not None and at >= since)
        ends = [since, *moments, datetime.now(UTC)]
        return max((later - earlier).total_seconds() for earlier, later in pairwise(ends))

    def close(self) -> None:
        self.poller.close()
        self.pool.close()


@pytest.fixture
def watch(lab: Lab) -> Iterator[Watch]:
    with closing(Watch(lab)) as watch:
        yield watch


# --- transports ------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_facts_and_sample(lab: Lab, name: str, transport: str) -> None:
    spec = lab.host(name).spec
    with closing(open_libvirt(TRANSPORTS[transport](lab.host(name)))) as host:
        facts, sample = host.facts(), host.sample()
        assert facts.hostname == name
        assert facts.hypervisor == "QEMU"
        assert facts.is_encrypted is (transport != "tcp")
        assert "<domainCapabilities" in facts.domain_capabilities_xml
        assert len(sample.cells) == spec.nodes
        assert all(cell.total_kib == spec.mib_per_node * 1024 for cell in sample.cells)
        assert all(0 < cell.free_kib < cell.total_kib for cell in sample.cells)
        assert sample.cpu_time_ns["user"] > 0
        assert sum(sample.online_cpus) == spec.nodes * spec.cores_per_node * spec.threads
        for node in range(spec.nodes):
            assert sample.free_pages.get(node, {}).get(2048, 0) == spec.huge_2m_per_node
        host.devices()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_whole_poll(lab: Lab, transport: str) -> None:
    guest = lab.guest("a", "pinned", vcpus=4, cells=2, pin=True)
    with closing(Watch(lab, TRANSPORTS[transport])) as watch:
        watch.wait_answered()
        seen = watch.wait(lambda seen: guest.uuid in seen.loads)
    vm = seen.vms[guest.uuid]
    assert (vm.name, vm.host, vm.state, vm.vcpus) == ("pinned", "a", VmState.RUNNING, 4)
    assert [node.host_nodes for node in vm.virtual_nodes] == [(0,), (1,)]
    assert len(vm.pinning.vcpus) == 4
    assert not vm.problem
    assert seen.loads[guest.uuid].memory_rss_kib
    host = seen.hosts["b"]
    assert host.link.is_encrypted is (transport != "tcp")
    assert [node.node_id for node in host.topology.nodes] == [0, 1, 2, 3]
    assert host.usage.cpu_pct is not None
    assert host.libvirt_version == 9_000_000


def test_a_key_that_is_not_accepted_is_said_and_nobody_is_asked(lab: Lab) -> None:
    with pytest.raises(AuthenticationFailed, match="SSH keys"):
        open_libvirt(f"qemu+ssh://nobody@{lab.host('a').address}/system")


def test_an_authority_that_is_not_known_is_said(lab: Lab) -> None:
    with pytest.raises(AuthenticationFailed, match="certificate"):
        open_libvirt(f"qemu+tls://{lab.host('a').address}/system")


def test_a_host_that_is_cut_off_is_said_before_the_system_gives_up(lab: Lab) -> None:
    lab.fault.cut("b")
    began = time.monotonic()
    with pytest.raises(HostUnreachable):
        open_libvirt(lab.host("b").uri)
    assert time.monotonic() - began < 60, "the system itself tries for two minutes"


# --- what happens to hosts -------------------------------------------------------


def test_a_frozen_daemon_delays_no_other_host_and_comes_back(lab: Lab, watch: Watch) -> None:
    lab.guest("b", "on-b", dirty_mib=0)
    lab.guest("a", "on-a", dirty_mib=0)
    watch.wait(lambda seen: len(seen.vms) == 2)
    since = datetime.now(UTC)
    lab.fault.freeze_daemon("b")
    seen = watch.wait_for_link("b", LinkState.UNRESPONSIVE, within_s=15)
    assert not seen.hosts["b"].is_candidate
    assert len(seen.vms) == 2
    assert "does not answer" in seen.hosts["b"].link.problem
    with pytest.raises(HostUnreachable):
        watch.pool.call("b", lambda host: host.facts(), deadline_s=5)
    lab.fault.thaw_daemon("b")
    seen = watch.wait_for_link("b", LinkState.CONNECTED)
    assert seen.hosts["b"].link.problem == ""
    assert watch.oldest_data_s("a", since) < 3
    assert watch.oldest_data_s("c", since) < 3


def test_keep_alive_gives_a_frozen_daemon_up_and_thawing_brings_it_back(lab: Lab, watch: Watch) -> None:
    watch.wait_answered()
    since = datetime.now(UTC)
    lab.fault.freeze_daemon("b")
    seen = watch.wait_for_link("b", LinkState.DISCONNECTED, within_s=40)
    assert "connect" in seen.hosts["b"].link.problem
    assert [thread.name for thread in threading.enumerate()].count("hpc-lane-b") == 1
    lab.fault.thaw_daemon("b")
    watch.wait_for_link("b", LinkState.CONNECTED)
    assert watch.oldest_data_s("a", since) < 3
    assert watch.oldest_data_s("c", since) < 3


SEVERAL_THREADS = """
import sys, threading
from hpconsole.core.errors import HypervisorError
from hpconsole.core.hypervisor import libvirt_connection
from hpconsole.core.hypervisor.libvirt_host import open_libvirt
libvirt_connection.KEEPALIVE_INTERVAL_S, libvirt_connection.KEEPALIVE_COUNT = 1, 2
host = open_libvirt(sys.argv[1])
host.facts()
ends = []
def written_over(times):  # what was left on this thread's stack
    return list(map(written_over, [times - 1])) if times else []
def ask():
    try:
        host.facts()
    except HypervisorError as error:
        ends.append(type(error).__name__)
    written_over(100)
threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
print("open", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
threads[0].join(20)
print("given up", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.join(20)
print(*ends)
"""


def test_several_threads_outlive_a_silent_host(lab: Lab) -> None:
    """The client of libvirt before 10.4.0 crashes (CVE-2024-4418) where two of them wait in one connection."""
    command = [sys.executable, "-X", "faulthandler", "-c", SEVERAL_THREADS, lab.host("b").uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        lab.fault.freeze_daemon("b")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "given up\n"  # by keep-alive
        lab.fault.thaw_daemon("b")
        said, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0, "crashed"
    assert said.split() == ["ConnectionLost"] * 3


def test_a_killed_daemon_is_connected_to_again(lab: Lab, watch: Watch) -> None:
    guest = lab.guest("b", "survivor", dirty_mib=0)
    watch.wait(lambda seen: guest.uuid in seen.vms)
    lab.fault.kill_daemon("b")
    seen = watch.wait_for_link("b", LinkState.DISCONNECTED)
    assert seen.vms[guest.uuid].host == "b"  # the last that is known
    lab.fault.start_daemon("b")
    seen = watch.wait_for_link("b", LinkState.CONNECTED)
    assert seen.vms[guest.uuid].state is VmState.RUNNING


def test_a_hung_guest_does_not_hang_its_host(lab: Lab, watch: Watch) -> None:
    hung, well = lab.guest("a", "hung", dirty_mib=0), lab.guest("a", "well", dirty_mib=0)
    watch.wait(lambda seen: {hung.uuid, well.uuid} <= seen.loads.keys())
    since = datetime.now(UTC)
    pid = lab.host("a").qemu_processes()[hung.uuid]
    os.kill(pid, signal.SIGSTOP)
    try:
        watch.wait(lambda _: datetime.now(UTC).timestamp() - since.timestamp() > 6)
        assert watch.oldest_data_s("a", since) < 3
        assert all(seen.hosts["a"].is_candidate for seen in watch.snapshots if (seen.taken_at or since) > since)
        # what happens to the other guest is seen as fast as ever
        lab.virsh("a", "suspend", well.uuid)
        watch.wait(lambda seen: seen.vms[well.uuid].state is VmState.PAUSED, within_s=3)
    finally:
        os.kill(pid, signal.SIGCONT)
    watch.wait(lambda seen: hung.uuid in seen.loads)


# --- events ----------------------------------------------------------------------


def test_a_change_of_pinning_is_seen_within_a_second(lab: Lab, watch: Watch) -> None:
    guest = lab.guest("a", "pinned", vcpus=2, pin=True)
    watch.poller.close()  # its polls would see it too: this is about events
    seen: list[tuple[float, DomainEvent]] = []
    tuned = threading.Event()

    def handler(event: DomainEvent) -> None:
        seen.append((time.monotonic(), event))
        if event.kind is DomainEventKind.TUNED:
            tuned.set()

    with closing(open_libvirt(lab.host("a").uri)) as host:
        host.listen(handler)
        lab.virsh("a", "vcpupin", guest.uuid, "0", "5", "--live")
        asked = time.monotonic()
        assert tuned.wait(5)
    at, event = seen[0]
    assert at - asked < 1
    assert (event.uuid, event.name) == (guest.uuid, "pinned")
    assert "vcpupin0" in event.detail


def test_a_change_of_pinning_is_shown_by_its_event(lab: Lab) -> None:
    guest = lab.guest("a", "pinned", vcpus=2, pin=True)
    with closing(Watch(lab)) as watch:
        watch.poller._interval_s = 3600  # no polls but those that events ask for
        watch.wait(lambda seen: guest.uuid in seen.vms)
        watch.wait_answered()
        lab.virsh("a", "vcpupin", guest.uuid, "0", "5", "--live")
        watch.wait(lambda seen: seen.vms[guest.uuid].pinning.of_vcpu(0) == CpuSet.parse("5"), within_s=60)


# --- migrations, as far as the connection is concerned -----------------------------


def _migrate(
    host: LibvirtHost, uuid: str, request: MigrationRequest, there: LibvirtHost | None
) -> list[HypervisorError]:
    errors: list[HypervisorError] = []
    try:
        host.migrate(uuid, request, there)
    except HypervisorError as error:
        errors.append(error)
    return errors


def test_calls_are_quick_while_a_migration_is_under_way_and_it_can_be_cancelled(lab: Lab) -> None:
    guest = lab.guest("a", "busy", dirty_mib=48, dirty_mib_s=40)
    errors: list[HypervisorError] = []
    with closing(open_libvirt(lab.host("a").uri)) as host:
        request = MigrationRequest(
            lab.host("b").uri, migrate_uri=f"tcp://{lab.host('b').address}", bandwidth_mib_s=8
        )  # slower than the guest writes: it never ends
        migrating = threading.Thread(
            target=lambda: errors.extend(_migrate(host, guest.uuid, request, None)), daemon=True
        )
        migrating.start()
        durations: list[float] = []
        passes: set[int] = set()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            began = time.monotonic()
            stats = host.job_stats(guest.uuid)
            host.sample()
            durations.append(time.monotonic() - began)
            passes.add(stats.iteration or 0)
        assert migrating.is_alive()
        host.abort_job(guest.uuid)
        migrating.join(20)
    assert not migrating.is_alive()
    (error,) = errors
    assert isinstance(error, OperationRefused)
    assert max(durations) < 1, sorted(durations)[-5:]
    assert lab.qemu_processes() == {guest.uuid: ("a",)}


@pytest.mark.parametrize("transport", MigrationTransport)
def test_a_migrating_vm_is_one_vm_all_the_time(lab: Lab, watch: Watch, transport: MigrationTransport) -> None:
    guest = lab.guest("a", "moving", dirty_mib=16, dirty_mib_s=10)
    watch.wait(lambda seen: guest.uuid in seen.vms)
    source, destination = watch.pool.hypervisor("a"), watch.pool.hypervisor("b")
    is_p2p = transport is MigrationTransport.PEER_TO_PEER
    source.migrate(
        guest.uuid,
        MigrationRequest(
            lab.host("b").uri, transport=transport, migrate_uri=f"tcp://{lab.host('b').address}", bandwidth_mib_s=24
        ),
        None if is_p2p else destination,
    )
    seen = watch.wait(
        lambda seen: (
            seen.vms[guest.uuid].host == "b"
            and not seen.vms[guest.uuid].other_hosts
            and not seen.vms[guest.uuid].is_migrating
        )
    )
    vm = seen.vms[guest.uuid]
    assert (vm.state, vm.is_persistent) == (VmState.RUNNING, True)
    history = [snapshot.vms.get(guest.uuid) for snapshot in watch.snapshots]
    present = [one for one in history if one is not None]
    assert len(history) - history.index(present[0]) == len(present), "it vanished for a while"
    assert not any(one.also_running_on for one in present)
    assert [host for n, host in enumerate(one.host for one in present) if n == 0 or host != present[n - 1].host] == [
        "a",
        "b",
    ]


def test_a_migration_hands_over_the_passwords(lab: Lab) -> None:
    guest = lab.guest("a", "secret", start=False)
    with closing(open_libvirt(lab.host("a").uri)) as host:
        xml = host.domain_xml(guest.uuid, inactive=True)
        graphics = "<graphics type='vnc' port='-1' autoport='yes' passwd='hunter2'/></devices>"
        host.define(xml.replace("</devices>", graphics))
        assert "hunter2" not in host.domain_xml(guest.uuid, inactive=True)
        assert "hunter2" in host.migratable_xml(guest.uuid, inactive=True)


# --- the end of the program --------------------------------------------------------

_PROGRAM = """
import sys, threading
from hpconsole.core.hypervisor.libvirt_host import open_libvirt
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.polling import Poller
from hpconsole.core.store import Store
pool, store, polled, frozen = ConnectionPool(open_libvirt), Store(), threading.Event(), threading.Event()
store.subscribe(lambda seen: polled.set() if len(seen.hosts) == 2 and all(h.is_candidate for h in seen.hosts.values())
    else frozen.set() if polled.is_set() else None)
poller = Poller(pool, store, deadline_s=1.0)
for number, uri in enumerate(sys.argv[2:]):
    pool.add(str(number), uri)
poller.start()
polled.wait(20)
print("polled", flush=True)
frozen.wait(20)
if sys.argv[1] == "close":
    poller.close()
    pool.close()
print("ending", flush=True)
"""


@pytest.mark.parametrize("manner", ["close", "just end"])
def test_the_program_ends_although_a_host_is_frozen(lab: Lab, manner: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, manner, lab.host("a").uri, lab.host("b").uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "polled\n"
        lab.fault.freeze_daemon("b")
        assert program.stdout.readline() == "ending\n"
        try:
            _, said = program.communicate(timeout=5)
        finally:
            program.kill()
    assert program.returncode == 0
    assert said == ""
