"""What may be done with simulated VMs: define, start, pause, stop, and the events and memory that go with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpconsole.core.errors import OperationRefused, VmNotFound
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel, GuestNode, definition_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err, State
from hpconsole.core.hypervisor.simulated.machines import GIB, PAGE_2M, HostModel, MachineShape
from hpconsole.core.hypervisor.simulated.pinned_guests import guest_uuid
from hpconsole.core.model.cpuset import CpuSet
from tests.core.hypervisor.simulated_clock import EventLog, FakeClock

HOST = HostModel("h", MachineShape(1, 2, 4, 2, gib_per_node=16), pages_2m_per_node=1024)
PINNED = GuestModel(
    "db-1",
    guest_uuid(1, "db-1"),
    4,
    2 * GIB,
    nodes=(GuestNode(CpuSet.parse("0-3"), 2 * GIB, CpuSet.of([1])),),
    page_kib=PAGE_2M,
    vcpu_pins=tuple(CpuSet.of([4 + n]) for n in range(4)),
    is_running=False,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host(clock: FakeClock) -> Iterator[Hypervisor]:
    cluster = SimulatedCluster(clock=clock, hosts=[HOST], guests={"h": [PINNED]})
    yield cluster.open("sim://h")
    cluster.close()


def state(host: Hypervisor) -> int:
    return next(record for record in host.sample().domains if record.uuid == PINNED.uuid).state


def test_start_takes_memory_and_stop_gives_it_back(host: Hypervisor) -> None:
    log = EventLog(host)
    assert state(host) == State.SHUTOFF
    assert host.sample().free_pages[1][PAGE_2M] == 1024
    host.start(PINNED.uuid)
    assert state(host) == State.RUNNING
    assert host.sample().free_pages[1][PAGE_2M] == 0
    host.force_off(PINNED.uuid)
    assert host.sample().free_pages[1][PAGE_2M] == 1024
    assert log.wait_for("lifecycle", "5:1")
    assert log.told() == [("lifecycle", "2:0"), ("lifecycle", "5:1")]
    log.close()


def test_second_vm_on_the_same_pages_is_refused(host: Hypervisor) -> None:
    host.start(PINNED.uuid)
    xml = definition_xml(PINNED).replace("db-1", "db-2").replace(PINNED.uuid, guest_uuid(1, "db-2"))
    other = host.define(xml)
    with pytest.raises(OperationRefused, match="unable to map backing store"):
        host.start(other)
    host.force_off(PINNED.uuid)
    host.start(other)


def test_pinning_to_cpus_that_are_not_there_is_refused_at_start(host: Hypervisor) -> None:
    host.define(definition_xml(PINNED).replace("cpuset='7'", "cpuset='16'"))
    with pytest.raises(OperationRefused, match="affinity"):
        host.start(PINNED.uuid)
    assert host.sample().free_pages[1][PAGE_2M] == 1024


def test_suspend_resume_and_shut_down(host: Hypervisor, clock: FakeClock) -> None:
    host.start(PINNED.uuid)
    host.suspend(PINNED.uuid)
    assert state(host) == State.PAUSED
    before = host.sample().domain_stats[PINNED.uuid]["cpu.time"]
    clock.advance(100)
    assert host.sample().domain_stats[PINNED.uuid]["cpu.time"] == before
    host.resume(PINNED.uuid)
    with pytest.raises(OperationRefused):
        host.resume(PINNED.uuid)
    host.shut_down(PINNED.uuid)
    assert state(host) == State.RUNNING  # the guest takes its time
    clock.advance(3)
    assert state(host) == State.SHUTOFF


def test_start_paused(host: Hypervisor) -> None:
    host.start(PINNED.uuid, paused=True)
    assert state(host) == State.PAUSED
    with pytest.raises(OperationRefused):
        host.start(PINNED.uuid)


def test_transient_vm_is_gone_when_it_stops(host: Hypervisor) -> None:
    host.start(PINNED.uuid)
    host.undefine(PINNED.uuid)
    assert not host.sample().domains[0].is_persistent
    assert "<resource>" not in host.domain_xml(PINNED.uuid, inactive=True)
    with pytest.raises(OperationRefused):
        host.undefine(PINNED.uuid)
    with pytest.raises(OperationRefused, match="transient"):
        host.set_metadata(PINNED.uuid, None, live=True, config=True)
    host.force_off(PINNED.uuid)
    with pytest.raises(VmNotFound):
        host.domain_xml(PINNED.uuid)


def test_redefining_leaves_the_running_vm_as_it_is(host: Hypervisor) -> None:
    host.start(PINNED.uuid)
    log = EventLog(host)
    host.define(definition_xml(PINNED).replace("cpuset='4'", "cpuset='1'"))
    assert "cpuset='4'" in host.domain_xml(PINNED.uuid)
    assert "cpuset='1'" in host.domain_xml(PINNED.uuid, inactive=True)
    assert log.wait_for("defined", "0:1")
    log.close()


@pytest.mark.parametrize(
    "xml",
    [
        "<domain>",
        "<network><name>x</name></network>",
        "<domain><name>x</name></domain>",
        "<domain><name>x</name><memory>much</memory></domain>",
        "<!DOCTYPE domain [<!ENTITY x 'y'>]><domain><name>&x;</name><memory>1</memory></domain>",
    ],
)
def test_what_is_no_domain_is_refused(host: Hypervisor, xml: str) -> None:
    with pytest.raises(OperationRefused) as refusal:
        host.define(xml)
    assert refusal.value.code == Err.XML_ERROR
    assert len(host.sample().domains) == 1


def test_names_and_uuids_are_unique_on_a_host(host: Hypervisor) -> None:
    for change in ((PINNED.uuid, guest_uuid(1, "other")), ("<name>db-1<", "<name>db-9<")):
        with pytest.raises(OperationRefused, match="already exists"):
            host.define(definition_xml(PINNED).replace(*change))


def test_definition_without_uuid_gets_one(host: Hypervisor) -> None:
    made = host.define("<domain type='kvm'><name>new</name><memory unit='GiB'>1</memory></domain>")
    assert f"<uuid>{made}</uuid>" in host.domain_xml(made)
    host.start(made)


def test_unknown_vm(host: Hypervisor) -> None:
    unknown = "11111111-1111-1111-1111-111111111111"
    for act in (host.start, host.force_off, host.domain_xml, host.undefine, host.job_stats, host.abort_job):
        with pytest.raises(VmNotFound):
            act(unknown)
