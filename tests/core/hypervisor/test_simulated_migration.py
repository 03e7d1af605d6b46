"""Live migrations in the simulated cluster follow the clock and the destination's XML, and end as libvirt's do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from lxml import etree

from hpconsole.core.errors import OperationRefused, VmNotFound
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor, MigrationRequest, MigrationTransport
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.demand import Demand, read_demand
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err, Paused, Running, State
from hpconsole.core.hypervisor.simulated.machines import GIB, PAGE_2M
from hpconsole.core.model.cpuset import CpuSet
from tests.core.hypervisor.simulated_clock import EventLog, FakeClock, Move, follow, uuid_of

ENGINE = "trade-engine-1"
TO_10 = MigrationRequest("sim://host-10")
_NODES = {"0": "4", "1": "6"}


class Stage:
    """The demo, its clock, and the engine's source and destination."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = SimulatedCluster.demo(clock=self.clock)
        self.source = self.cluster.open("sim://host-02")
        self.destination = self.cluster.open("sim://host-10")
        self.uuid = uuid_of(self.source, ENGINE)
        self.log = EventLog(self.source, self.destination)

    def begin(self, request: MigrationRequest = TO_10, destination: Hypervisor | None = None) -> Move:
        """Begin to move the engine; returns once both hosts work on it."""
        move = Move(self.source, self.uuid, request, destination)
        assert self.log.wait_for("lifecycle", "2:1")
        return move

    def free_pages(self, host: str) -> list[int]:
        free = self.cluster.open(f"sim://{host}").sample().free_pages
        return [free[node][PAGE_2M] for node in sorted(free)]

    def record(self, host: str) -> DomainRecord | None:
        domains = self.cluster.open(f"sim://{host}").sample().domains
        return next((record for record in domains if record.uuid == self.uuid), None)

    def demand(self, host: Hypervisor, *, inactive: bool = False) -> Demand:
        return read_demand(etree.fromstring(host.domain_xml(self.uuid, inactive=inactive)))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.log.close()
    made.cluster.close()


def moved_xml(xml: str, *, first_cpu: int = 40, nodes: dict[str, str] | None = None) -> str:
    """The engine's XML for an eight-node host: other CPUs, other nodes."""
    root = etree.fromstring(xml)
    for number, pin in enumerate(root.iterfind("cputune/vcpupin")):
        pin.set("cpuset", str(first_cpu + number))
    for pin in root.iterfind("cputune/*"):
        if pin.tag != "vcpupin":
            pin.set("cpuset", "32-33")
    for binding in root.iterfind("numatune/memnode"):
        binding.set("nodeset", (nodes or _NODES)[binding.get("cellid", "")])
    return etree.tostring(root, encoding="unicode")


def test_statistics_are_those_of_a_precopy(stage: Stage) -> None:
    move = stage.begin()
    seen = follow(stage.clock, stage.source, stage.uuid, 0.1)
    assert move.end() is None
    elapsed = [stats.elapsed_ms or 0 for stats in seen]
    assert elapsed == sorted(elapsed)
    assert 6_000 <= elapsed[-1] <= 10_500  # what the scripted tour shows
    iterations = [stats.iteration or 0 for stats in seen]
    assert iterations == sorted(iterations)
    assert iterations[-1] >= 4
    for before, after in pairwise(seen):
        assert before.memory_remaining_bytes is not None
        assert after.memory_remaining_bytes is not None
        if before.iteration == after.iteration:
            assert after.memory_remaining_bytes <= before.memory_remaining_bytes
    peaks = [max(s.memory_remaining_bytes or 0 for s in seen if s.iteration == number) for number in (1, 2, 3)]
    lows = [min(s.memory_remaining_bytes or 0 for s in seen if s.iteration == number) for number in (1, 2)]
    assert peaks[1] > lows[0]
    assert peaks[2] > lows[1]
    assert peaks == sorted(peaks, reverse=True)
    assert any(stats.dirty_rate_pages_s for stats in seen)
    assert {stats.memory_total_bytes for stats in seen} == {16 * GIB * 1024}
    done = stage.destination.job_stats(stage.uuid, completed=True)
    assert done.job_type == 3
    assert 0 < (done.downtime_ms or 0) <= 330
    assert stage.log.wait_for("job completed")
    told = stage.log.told()
    assert [event for event in told if event[0] != "migration pass"] == [
        ("lifecycle", "2:1"),  # in libvirt's own order: started there, paused here, defined and resumed there
        ("lifecycle", "3:1"),
        ("defined", "0:0"),
        ("lifecycle", "4:1"),
        ("lifecycle", "5:3"),
        ("job completed", ""),
    ]
    passes = [detail for kind, detail in told if kind == "migration pass"]
    assert passes == [str(number) for number in range(1, iterations[-1] + 1)]


def test_destination_xml_is_what_runs_and_what_is_defined_there(stage: Stage) -> None:
    live = moved_xml(stage.source.migratable_xml(stage.uuid))
    persistent = moved_xml(stage.source.domain_xml(stage.uuid, inactive=True), first_cpu=42)
    source_before, destination_before = stage.free_pages("host-02"), stage.free_pages("host-10")
    move = stage.begin(replace(TO_10, destination_xml=live, persistent_xml=persistent))
    follow(stage.clock, stage.source, stage.uuid, 0.5)
    assert move.end() is None
    running, defined = stage.demand(stage.destination), stage.demand(stage.destination, inactive=True)
    assert running.cpus == CpuSet.parse("40-47,32-33")
    assert running.nodes == CpuSet.of([4, 6])
    assert defined.cpus == CpuSet.parse("42-49,32-33")
    taken = [was - now for was, now in zip(destination_before, stage.free_pages("host-10"), strict=True)]
    assert taken == [0, 0, 0, 0, 4096, 0, 4096, 0]
    given_back = [now - was for was, now in zip(source_before, stage.free_pages("host-02"), strict=True)]
    assert given_back == [4096, 4096]
    assert stage.record("host-02") is None
    record = stage.record("host-10")
    assert record is not None
    assert (record.state, record.reason, record.is_persistent) == (State.RUNNING, Running.MIGRATED, True)
    assert 'policy="keep_shape"' in stage.destination.domain_xml(stage.uuid)  # the intent travels


def test_while_it_moves_the_destination_shows_a_paused_vm_that_holds_memory(stage: Stage) -> None:
    before = sum(stage.free_pages("host-10"))
    move = stage.begin()
    stage.clock.advance(1)
    record = stage.record("host-10")
    assert record is not None
    assert (record.state, record.reason, record.is_persistent) == (State.PAUSED, Paused.MIGRATION, False)
    assert before - sum(stage.free_pages("host-10")) == 8192
    with pytest.raises(OperationRefused, match="only on the source host"):
        stage.destination.job_stats(stage.uuid)
    follow(stage.clock, stage.source, stage.uuid, 1)
    assert move.end() is None


def check_unmoved(stage: Stage, pages: list[int]) -> None:
    record = stage.record("host-02")
    assert record is not None
    assert record.state == State.RUNNING
    assert stage.record("host-10") is None
    assert stage.free_pages("host-10") == pages
    assert stage.source.job_stats(stage.uuid).job_type == 0


def test_failure_leaves_the_vm_where_it_was(stage: Stage) -> None:
    pages = stage.free_pages("host-10")
    stage.cluster.fail_next_migration(ENGINE, "migration out job: the disk is full")
    move = stage.begin()
    follow(stage.clock, stage.source, stage.uuid, 0.5)
    error = move.end()
    assert isinstance(error, OperationRefused)
    assert error.code == Err.OPERATION_FAILED
    assert "the disk is full" in error.sentence
    check_unmoved(stage, pages)
    again = stage.begin()  # only the next one was to fail
    follow(stage.clock, stage.source, stage.uuid, 0.5)
    assert again.end() is None


def test_cancel_leaves_the_vm_where_it_was(stage: Stage) -> None:
    pages = stage.free_pages("host-10")
    move = stage.begin()
    stage.clock.advance(2)
    assert stage.source.job_stats(stage.uuid).iteration == 1
    stage.source.abort_job(stage.uuid)
    error = move.end()
    assert isinstance(error, OperationRefused)
    assert error.code == Err.OPERATION_ABORTED
    check_unmoved(stage, pages)
    assert stage.log.wait_for("lifecycle", "5:5")
    with pytest.raises(OperationRefused):
        stage.source.abort_job(stage.uuid)


def test_stall_sends_nothing_until_it_is_cancelled(stage: Stage) -> None:
    stage.cluster.stall_next_migration(ENGINE)
    move = stage.begin()
    stage.clock.advance(30)
    first = stage.source.job_stats(stage.uuid)
    stage.clock.advance(60)
    second = stage.source.job_stats(stage.uuid)
    assert first.memory_remaining_bytes == second.memory_remaining_bytes != 0
    assert second.memory_bps == 0
    stage.source.abort_job(stage.uuid)
    assert isinstance(move.end(), OperationRefused)


def test_guest_that_writes_faster_than_the_link_does_not_converge_without_help() -> None:
    clock = FakeClock()
    cluster = SimulatedCluster.demo(clock=clock)
    source = cluster.open("sim://host-08")
    uuid = uuid_of(source, "ml-train-1")
    request = MigrationRequest("sim://host-07", post_copy=True)
    xml = source.migratable_xml(uuid)
    move = Move(source, uuid, replace(request, destination_xml=xml))
    log = EventLog(cluster.open("sim://host-07"))
    while not any(record.uuid == uuid for record in cluster.open("sim://host-07").sample().domains):
        assert log.wait_for("lifecycle", "2:1")
    clock.advance(300)
    assert (source.job_stats(uuid).iteration or 0) > 10
    source.start_post_copy(uuid)
    with pytest.raises(OperationRefused):
        source.abort_job(uuid)
    assert log.wait_for("lifecycle", "4:3")
    follow(clock, source, uuid, 1)
    assert move.end() is None
    log.close()
    cluster.close()


def test_post_copy_needs_to_be_allowed(stage: Stage) -> None:
    move = stage.begin()
    stage.clock.advance(1)
    with pytest.raises(OperationRefused) as refusal:
        stage.source.start_post_copy(stage.uuid)
    assert refusal.value.code == Err.OPERATION_INVALID
    stage.source.abort_job(stage.uuid)
    move.end()


def test_limits_change_a_running_migration(stage: Stage) -> None:
    move = stage.begin(replace(TO_10, bandwidth_mib_s=100))
    stage.clock.advance(1)
    assert stage.source.job_stats(stage.uuid).memory_bps == 100 * 1024 * 1024
    stage.source.set_migration_limits(stage.uuid, bandwidth_mib_s=2000, downtime_ms=2000)
    assert stage.source.job_stats(stage.uuid).memory_bps == 2000 * 1024 * 1024
    seen = follow(stage.clock, stage.source, stage.uuid, 0.2)
    assert move.end() is None
    assert (seen[-1].iteration or 0) <= 3
    assert (stage.destination.job_stats(stage.uuid, completed=True).downtime_ms or 0) > 300


def test_two_migrations_share_the_link(stage: Stage) -> None:
    first = stage.begin()
    stage.clock.advance(1)
    alone = stage.source.job_stats(stage.uuid).memory_bps or 0
    other = uuid_of(stage.source, "kafka-1")
    second = Move(stage.source, other, MigrationRequest("sim://host-05"))
    log = EventLog(stage.cluster.open("sim://host-05"))
    while not any(record.uuid == other for record in stage.cluster.open("sim://host-05").sample().domains):
        assert log.wait_for("lifecycle", "2:1")
    stage.clock.advance(0.5)
    assert stage.source.job_stats(stage.uuid).memory_bps == pytest.approx(alone / 2)
    follow(stage.clock, stage.source, stage.uuid, 1)
    follow(stage.clock, stage.source, other, 1)
    assert (first.end(), second.end()) == (None, None)
    log.close()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"first_cpu": 124}, Err.SYSTEM_ERROR, "cannot set CPU affinity"),
        ({"nodes": {"0": "3", "1": "8"}}, Err.CONFIG_UNSUPPORTED, "NUMA node 8 is unavailable"),
    ],
)
def test_destination_xml_that_names_what_is_not_there_is_refused(
    stage: Stage, change: dict[str, object], code: Err, words: str
) -> None:
    xml = moved_xml(stage.source.migratable_xml(stage.uuid), **change)  # type: ignore[arg-type]  # one of two keywords
    with pytest.raises(OperationRefused, match=words) as refusal:
        stage.source.migrate(stage.uuid, replace(TO_10, destination_xml=xml), None)
    assert refusal.value.code == code
    assert stage.record("host-10") is None


@pytest.mark.parametrize(
    ("to", "code", "words"),
    [
        ("host-11", Err.NO_NETWORK, "market"),
        ("host-04", Err.CPU_INCOMPATIBLE, "required features"),
        ("host-08", Err.CONFIG_UNSUPPORTED, "NUMA node 1 is unavailable"),
        ("host-02", Err.INTERNAL_ERROR, "same host"),
        ("host-99", Err.SYSTEM_ERROR, "unable to connect to server at 'host-99:16509'"),
    ],
)
def test_hosts_that_cannot_take_it_refuse_in_libvirts_words(stage: Stage, to: str, code: Err, words: str) -> None:
    with pytest.raises(OperationRefused, match=words) as refusal:
        stage.source.migrate(stage.uuid, MigrationRequest(f"sim://{to}"), None)
    assert refusal.value.code == code
    check_unmoved(stage, stage.free_pages("host-10"))


def test_too_few_pages_on_a_strict_node_are_refused(stage: Stage) -> None:
    xml = stage.source.migratable_xml(stage.uuid).replace("<source network='market'/>", "<source network='prod'/>")
    with pytest.raises(OperationRefused, match="unable to map backing store"):
        stage.source.migrate(stage.uuid, MigrationRequest("sim://host-11", destination_xml=xml), None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<vcpu placement='static'>8<", "<vcpu placement='static'>6<"),
        ("memory='8388608'", "memory='4194304'"),
        ("<name>trade-engine-1<", "<name>trade-engine-9<"),
        ("</domain>", ""),
    ],
)
def test_destination_xml_of_another_guest_is_refused(stage: Stage, old: str, new: str) -> None:
    xml = stage.source.migratable_xml(stage.uuid)
    assert old in xml
    with pytest.raises(OperationRefused):
        stage.source.migrate(stage.uuid, replace(TO_10, destination_xml=xml.replace(old, new)), None)


def test_cut_hosts_refuse_peer_to_peer_and_the_console_carries_it(stage: Stage) -> None:
    stage.cluster.cut_between("host-02", "host-10")
    with pytest.raises(OperationRefused, match="No route to host") as refusal:
        stage.source.migrate(stage.uuid, TO_10, None)
    assert refusal.value.code == Err.SYSTEM_ERROR
    client = replace(TO_10, transport=MigrationTransport.CLIENT_MANAGED)
    move = stage.begin(client, stage.destination)
    follow(stage.clock, stage.source, stage.uuid, 1)
    assert move.end() is None
    stage.cluster.heal_between("host-02", "host-10")


def test_paused_vm_arrives_paused(stage: Stage) -> None:
    stage.source.suspend(stage.uuid)
    move = stage.begin()
    follow(stage.clock, stage.source, stage.uuid, 0.5)
    assert move.end() is None
    assert stage.destination.job_stats(stage.uuid, completed=True).iteration == 2  # nobody writes
    record = stage.record("host-10")
    assert record is not None
    assert (record.state, record.reason) == (State.PAUSED, Paused.USER)


def test_what_cannot_be_done_meanwhile(stage: Stage) -> None:
    move = stage.begin()
    acts: tuple[Callable[[], None], ...] = (
        lambda: stage.source.migrate(stage.uuid, TO_10, None),
        lambda: stage.source.shut_down(stage.uuid),
        lambda: stage.source.pin_vcpu(stage.uuid, 0, "1", live=True, config=False),
    )
    for act in acts:
        with pytest.raises(OperationRefused) as refusal:
            act()
        assert refusal.value.code == Err.OPERATION_TIMEOUT
    stage.source.force_off(stage.uuid)
    assert isinstance(move.end(), OperationRefused)
    assert stage.record("host-10") is None


def test_shut_off_or_unknown_vm_cannot_be_migrated(stage: Stage) -> None:
    host = stage.cluster.open("sim://host-12")
    with pytest.raises(OperationRefused):
        host.migrate(uuid_of(host, "db-pg-06"), TO_10, None)
    with pytest.raises(VmNotFound):
        host.migrate("11111111-1111-1111-1111-111111111111", TO_10, None)


def test_source_keeps_its_definition_if_asked_to(stage: Stage) -> None:
    move = stage.begin(replace(TO_10, undefine_source=False))
    follow(stage.clock, stage.source, stage.uuid, 1)
    assert move.end() is None
    record = stage.record("host-02")
    assert record is not None
    assert record.state == State.SHUTOFF
    assert stage.source.job_stats(stage.uuid, completed=True).job_type == 3


def test_same_seed_and_clock_give_the_same_statistics() -> None:
    def run() -> list[object]:
        made = Stage()
        move = made.begin()
        seen = follow(made.clock, made.source, made.uuid, 0.25)
        assert move.end() is None
        told = [made.destination.domain_xml(made.uuid), made.destination.sample(), *seen]
        made.log.close()
        made.cluster.close()
        return told

    assert run() == run()
