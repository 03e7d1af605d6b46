"""LibvirtHost over libvirt's own test driver: the event loop, errors at the edge, sampling, and terms of migration."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from xml.etree import ElementTree as ET

import libvirt
import pytest

from hpconsole.core.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostUnreachable,
    HypervisorError,
    OperationRefused,
    UriRefused,
    VmNotFound,
)
from hpconsole.core.hypervisor.libvirt_connection import Connection
from hpconsole.core.hypervisor.libvirt_errors import calling_error, clean, opening_error
from hpconsole.core.hypervisor.libvirt_events import LOOP, EventFeed
from hpconsole.core.hypervisor.libvirt_host import LibvirtHost, open_libvirt
from hpconsole.core.hypervisor.libvirt_migration import migration_terms, read_job_stats
from hpconsole.core.hypervisor.machine_port import NewVolume
from hpconsole.core.hypervisor.port import (
    DomainEvent,
    DomainEventKind,
    Hypervisor,
    MigrationRequest,
    MigrationTransport,
)

LONG_S = 10.0
NOBODY = "00000000-0000-0000-0000-00000000dead"
DEFINITION = """<domain type='test'><name>made-here</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e1930</uuid>
<memory unit='KiB'>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"""
MADE = "6695eb01-f6a4-8304-79aa-97f2502e1930"


@pytest.fixture
def host() -> Iterator[LibvirtHost]:
    with closing(open_libvirt("test:///default")) as host:
        yield host


@pytest.fixture
def vm(host: LibvirtHost) -> Iterator[str]:
    """A VM of the test's own: the test driver's default host is one object per process."""
    yield host.define(DEFINITION)
    for remove in (host.force_off, host.undefine):
        try:
            remove(MADE)
        except HypervisorError:
            continue


def test_it_is_a_hypervisor(host: LibvirtHost) -> None:
    port: Hypervisor = host
    assert port.uri == "test:///default"
    assert port.is_alive()


def test_facts(host: LibvirtHost) -> None:
    facts = host.facts()
    assert facts.hypervisor == "TEST"
    assert facts.libvirt_version >= 9_000_000
    assert ET.fromstring(facts.capabilities_xml).find("host/topology/cells") is not None
    assert facts.domain_capabilities_xml == ""  # the driver has none, which is no error


def test_devices(host: LibvirtHost) -> None:
    devices = host.devices()
    assert [ET.fromstring(xml).findtext("name") for xml in devices["network"]] == ["default"]
    assert [ET.fromstring(xml).findtext("name") for xml in devices["pool"]] == ["default-pool"]
    assert [ET.fromstring(xml).get("name") for xml in devices["interface"]] == ["eth1"]
    assert isinstance(devices["nodedev"], list)


def test_sample(host: LibvirtHost, vm: str) -> None:
    sample = host.sample()
    assert set(sample.cpu_time_ns) >= {"user", "kernel", "idle"}
    assert sample.memory.total_kib > 0
    assert [cell.cell for cell in sample.cells] == [0, 1]
    assert sample.cells[1].free_kib == 4096
    assert sum(sample.online_cpus) == 3
    records = {record.uuid: record for record in sample.domains}
    assert set(sample.domain_stats) == set(records)
    assert records[vm].name == "made-here"
    assert records[vm].is_persistent
    assert not records[vm].autostart
    assert records[vm].state == libvirt.VIR_DOMAIN_SHUTOFF
    assert {record.name for record in sample.domains if record.state == 1} == {"test"}


def test_a_transient_vm_is_told_apart(host: LibvirtHost, vm: str) -> None:
    host.start(vm)
    host.undefine(vm)
    (record,) = [record for record in host.sample().domains if record.uuid == vm]
    assert not record.is_persistent


def test_life_of_a_vm(host: LibvirtHost, vm: str) -> None:
    def state() -> int:
        return next(record.state for record in host.sample().domains if record.uuid == vm)

    host.start(vm)
    host.suspend(vm)
    assert state() == 3
    host.resume(vm)
    assert state() == 1
    host.shut_down(vm)
    assert state() == 5
    host.start(vm)
    host.force_off(vm)
    assert state() == 5
    host.undefine(vm)
    with pytest.raises(VmNotFound):
        host.domain_xml(vm)


def test_xml_of_a_vm(host: LibvirtHost, vm: str) -> None:
    for xml in (host.domain_xml(vm), host.domain_xml(vm, inactive=True), host.migratable_xml(vm)):
        assert ET.fromstring(xml).findtext("name") == "made-here"


def test_metadata_travels_in_the_definition(host: LibvirtHost, vm: str) -> None:
    host.set_metadata(vm, "<vm version='1'/>", live=False, config=True)
    assert 'xmlns:hpconsole="urn:hpconsole:vm:1"' in host.domain_xml(vm, inactive=True)
    host.set_metadata(vm, None, live=False, config=True)
    assert "urn:hpconsole" not in host.domain_xml(vm, inactive=True)


def test_errors_are_hpconsoles(host: LibvirtHost, vm: str) -> None:
    with pytest.raises(VmNotFound) as missing:
        host.domain_xml(NOBODY)
    assert missing.value.subject == NOBODY
    assert isinstance(missing.value.__cause__, libvirt.libvirtError)
    with pytest.raises(OperationRefused) as refused:
        host.define("<domain/>")
    assert refused.value.code
    assert "this machine refused" in refused.value.sentence
    with pytest.raises(OperationRefused):
        host.job_stats(vm)  # not in the test driver


def test_libvirt_prints_nothing(host: LibvirtHost, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VmNotFound):
        host.domain_xml(NOBODY)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_events_arrive_on_the_event_thread(host: LibvirtHost, vm: str) -> None:
    seen: list[tuple[DomainEvent, str]] = []
    started = threading.Event()

    def handler(event: DomainEvent) -> None:
        seen.append((event, threading.current_thread().name))
        if event.uuid == vm and event.detail.startswith("2:"):
            started.set()

    stop = host.listen(handler)
    host.start(vm)
    assert started.wait(LONG_S)
    (event, thread) = next(pair for pair in seen if pair[0].detail.startswith("2:"))
    assert (event.kind, event.uuid, event.name) == (DomainEventKind.LIFECYCLE, vm, "made-here")
    assert thread == "hpc-libvirt-events"
    stop()
    seen.clear()
    second = threading.Event()
    host.listen(lambda _: second.set())
    host.force_off(vm)
    assert second.wait(LONG_S)
    assert not seen


def test_definitions_have_events_of_their_own(host: LibvirtHost) -> None:
    kinds: list[DomainEventKind] = []
    undefined = threading.Event()

    def handler(event: DomainEvent) -> None:
        kinds.append(event.kind)
        if event.kind is DomainEventKind.UNDEFINED:
            undefined.set()

    host.listen(handler)
    host.define(DEFINITION)
    host.undefine(MADE)
    assert undefined.wait(LONG_S)
    assert kinds == [DomainEventKind.DEFINED, DomainEventKind.UNDEFINED]


def test_there_is_one_event_thread(host: LibvirtHost) -> None:
    LOOP.start()
    open_libvirt("test:///default").close()
    assert [thread.name for thread in threading.enumerate()].count("hpc-libvirt-events") == 1


def test_a_closed_connection_says_so() -> None:
    host = open_libvirt("test:///default")
    host.sample()
    host.close()
    host.close()
    assert not host.is_alive()
    for call in (host.sample, host.facts, lambda: host.domain_xml(NOBODY)):
        with pytest.raises(HostUnreachable, match="closed"):
            call()


def test_a_connection_closed_during_a_call_stays_until_the_call_is_over() -> None:
    host = open_libvirt("test:///default")
    with host._connection.use() as raw:
        host.close()
        assert raw.getHostname()  # still open
    with pytest.raises(libvirt.libvirtError):
        raw.getHostname()


class TestOneThreadAtATimeIsInAConnection:
    """Two crash libvirt's client when the host falls silent: `tests/lab/test_connection.py` shows it."""

    def test_who_comes_second_waits_until_the_first_has_left(self, host: LibvirtHost) -> None:
        order: list[str] = []
        began = threading.Event()

        def second() -> None:
            began.set()
            host.facts()
            order.append("second")

        with host._connection.use():
            other = threading.Thread(target=second)
            other.start()
            assert began.wait(LONG_S)
            assert not host._connection.is_taken  # by another one
            other.join(0.2)
            order.append("first")
        other.join(LONG_S)
        assert order == ["first", "second"]

    def test_who_waits_too_long_never_gets_in(self, host: LibvirtHost) -> None:
        connection = host._connection
        inside = threading.Event()
        leave = threading.Event()

        def first() -> None:
            with connection.use():
                inside.set()
                leave.wait(LONG_S)

        other = threading.Thread(target=first)
        other.start()
        assert inside.wait(LONG_S)
        assert connection.is_taken
        with pytest.raises(HostUnreachable, match="Nothing was asked of it"), connection.use(turn_within_s=0.01):
            pytest.fail("two are in")
        leave.set()
        other.join(LONG_S)
        assert host.facts().hostname

    def test_a_copy_of_a_disk_does_not_wait_for_who_is_in_the_main_connection(self, host: LibvirtHost) -> None:
        with host._connection.use() as raw:
            place = raw.storagePoolLookupByName("default-pool")
            place.createXML("<volume><name>first.img</name><capacity>1048576</capacity></volume>", 0)
        inside, leave = threading.Event(), threading.Event()

        def first() -> None:
            with host._connection.use():
                inside.set()
                leave.wait(LONG_S * 6)

        other = threading.Thread(target=first)
        other.start()
        assert inside.wait(LONG_S)
        try:
            made = host.create_volume(NewVolume("default-pool", "second.img", "raw", clone_from="first.img"))
        finally:
            leave.set()
            other.join(LONG_S)
            for name in ("first.img", "second.img"):
                with suppress(HypervisorError):
                    host.delete_volume("default-pool", name)
        assert made.name == "second.img"

    def test_a_second_connection_that_tells_no_events_is_closed(
        self, host: LibvirtHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host.listen(lambda _event: None)
        old, again, opened = host._connection, host._connect, list[Connection]()

        def connect_again() -> Connection:
            opened.append(again())
            return opened[-1]

        def refuse(_feed: EventFeed, _raw: libvirt.virConnect) -> list[int]:
            raise libvirt.libvirtError("no events")

        monkeypatch.setattr(host, "_connect", connect_again)
        monkeypatch.setattr(EventFeed, "register", refuse)
        host._replace_connection()
        assert [one.is_closed for one in opened] == [True]
        assert host._connection is old
        assert not old.is_closed

    def test_closing_sends_those_who_wait_home(self) -> None:
        host = open_libvirt("test:///default")
        errors: list[HypervisorError] = []
        began = threading.Event()

        def second() -> None:
            began.set()
            try:
                host.facts()
            except HypervisorError as error:
                errors.append(error)

        with host._connection.use():
            other = threading.Thread(target=second)
            other.start()
            assert began.wait(LONG_S)
            host.close()
            other.join(LONG_S)
        assert not other.is_alive()
        assert "closed" in errors[0].sentence

    def test_never_two_however_many_ask(self, host: LibvirtHost, vm: str) -> None:
        connection = host._connection
        inside: set[int] = set()
        most: list[int] = []

        def ask() -> None:
            for _ in range(50):
                with connection.use():
                    inside.add(threading.get_ident())
                    host.domain_xml(vm)  # the same thread may again
                    connection.optional(connection._raw.getHostname)
                    most.append(len(inside))
                    inside.discard(threading.get_ident())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert len(most) == 8 * 50
        assert max(most) == 1


def test_uris_are_checked_before_anything_is_opened() -> None:
    with pytest.raises(UriRefused):
        open_libvirt("qemu+ssh://h/system?command=/tmp/x")


def test_nothing_listening_is_said_at_once() -> None:
    with pytest.raises(HostUnreachable, match="nothing listens there"):
        open_libvirt("qemu+tcp://127.0.0.1:1/system")


@pytest.mark.parametrize(
    ("words", "kind", "hint"),
    [
        (
            "Cannot recv data: root@b: Permission denied (publickey).: Connection reset",
            AuthenticationFailed,
            "SSH keys",
        ),
        ("Cannot recv data: Host key verification failed.: Connection reset", AuthenticationFailed, "ssh b"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", AuthenticationFailed, "ssh-keygen -R b"),
        ("Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file", AuthenticationFailed, "pkipath"),
        ("The server certificate /x is not trusted", AuthenticationFailed, "certificate"),
        ("authentication unavailable: no polkit agent available", AuthenticationFailed, "group libvirt"),
        ("Cannot recv data: ssh: connect to host b port 22: Connection refused", HostUnreachable, "nothing listens"),
        ("unable to connect to server at 'b:16509': No route to host", HostUnreachable, "no way to it"),
        ("Unable to resolve address 'b' service '16509'", HostUnreachable, "name is not known"),
        ("Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file", HostUnreachable, "Start it"),
        ("something new", HostUnreachable, "something new"),
    ],
)
def test_why_a_host_cannot_be_opened(words: str, kind: type[HypervisorError], hint: str) -> None:
    error = opening_error(words, "b")
    assert type(error) is kind
    assert hint in error.sentence
    assert error.detail == words
    assert error.sentence.endswith(".")


def test_a_failed_call_on_a_dead_connection_is_a_lost_connection(host: LibvirtHost) -> None:
    with pytest.raises(OperationRefused) as refused:
        host.define("<domain/>")
    error = refused.value.__cause__
    assert isinstance(error, libvirt.libvirtError)
    assert isinstance(calling_error(error, "b", is_alive=False), ConnectionLost)
    assert isinstance(calling_error(error, "b", is_alive=True), OperationRefused)


def test_sentences_hold_no_secrets_and_no_control_characters() -> None:
    text = clean("bad\n  thing \x1b[31m passwd='hunter2' password=hunter2 secret: hunter2 end.")
    assert "hunter2" not in text
    assert text.isprintable()
    assert not text.endswith(".")
    assert len(clean("x" * 5000)) < 1000


# --- terms of migration ----------------------------------------------------------


def test_terms_of_a_peer_to_peer_migration() -> None:
    request = MigrationRequest(
        "qemu+tcp://b/system",
        destination_xml="<domain/>",
        persistent_xml="<domain id='p'/>",
        migrate_uri="tcp://10.0.0.2",
        bandwidth_mib_s=100,
        parallel_connections=4,
        post_copy=True,
        auto_converge=True,
        tls=True,
    )
    flags, parameters = migration_terms(request, is_persistent=True)
    assert flags == (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PEER2PEER
        | libvirt.VIR_MIGRATE_PERSIST_DEST
        | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
        | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        | libvirt.VIR_MIGRATE_AUTO_CONVERGE
        | libvirt.VIR_MIGRATE_POSTCOPY
        | libvirt.VIR_MIGRATE_PARALLEL
        | libvirt.VIR_MIGRATE_TLS
    )
    assert parameters == {
        "migrate_uri": "tcp://10.0.0.2",
        "destination_xml": "<domain/>",
        "persistent_xml": "<domain id='p'/>",
        "bandwidth": 100,
        "parallel.connections": 4,
    }


def test_a_transient_vm_leaves_no_definition_behind_or_ahead() -> None:
    request = MigrationRequest("", transport=MigrationTransport.CLIENT_MANAGED, persistent_xml="<domain/>")
    flags, parameters = migration_terms(request, is_persistent=False)
    assert flags == libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    assert parameters == {}


def test_the_source_keeps_its_definition_if_asked() -> None:
    flags, _ = migration_terms(MigrationRequest("", undefine_source=False), is_persistent=True)
    assert flags & libvirt.VIR_MIGRATE_PERSIST_DEST
    assert not flags & libvirt.VIR_MIGRATE_UNDEFINE_SOURCE


def test_job_statistics() -> None:
    stats = read_job_stats(
        {"type": 2, "operation": 3, "time_elapsed": 1500, "memory_total": 1 << 30, "memory_dirty_rate": 7}
    )
    assert (stats.job_type, stats.operation, stats.elapsed_ms) == (2, 3, 1500)
    assert (stats.memory_total_bytes, stats.dirty_rate_pages_s) == (1 << 30, 7)
    assert stats.downtime_ms is None
    assert read_job_stats({"type": 0}).job_type == 0
    assert read_job_stats({"type": 4, "errmsg": "no"}).error == "no"


def test_a_program_that_forgets_to_close_ends_at_once_and_in_silence() -> None:
    code = (
        "from hpconsole.core.hypervisor.libvirt_host import open_libvirt\n"
        "host = open_libvirt('test:///default')\n"
        "host.listen(print)\n"
        "host.sample()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert (done.stdout, done.stderr) == ("", "")


def test_no_domain_waits_for_the_garbage_collector_after_an_error(
    host: LibvirtHost, vm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep a closed connection, and say good-bye to the host on whatever thread the collector runs."""
    found: list[libvirt.virDomain] = []
    look_up = libvirt.virConnect.lookupByUUIDString

    def remember(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain:
        found.append(look_up(connection, uuid))
        return found[-1]

    monkeypatch.setattr(libvirt.virConnect, "lookupByUUIDString", remember)
    with pytest.raises(HypervisorError):
        host.suspend(vm)  # it does not run
    request = MigrationRequest("test:///default", MigrationTransport.PEER_TO_PEER)
    with pytest.raises(HypervisorError):
        host.migrate(vm, request, None)
    assert [vars(domain)["_o"] for domain in found] == [None, None], "what libvirt gave was not given back"
