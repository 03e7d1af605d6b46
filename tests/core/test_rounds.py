"""One poll of one host: what is read again and what is not, and how hostile or slow hosts are borne."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from hpconsole.core.errors import ConnectionLost, InvalidXml, OperationRefused
from hpconsole.core.hypervisor.port import DomainRecord
from hpconsole.core.model.vm import VmState
from hpconsole.core.rounds import HostReader, HostRound, RoundSettings
from tests.builders import NOW
from tests.core.fake_hypervisor import FakeHypervisor, domain_xml, record, uuid_of

NOBODY: frozenset[str] = frozenset()


class Bench:
    """A host, its reader, and a clock that the test moves."""

    def __init__(self, settings: RoundSettings | None = None) -> None:
        self.now_s = 1000.0
        self.hypervisor = FakeHypervisor()
        self.reader = HostReader(
            "a",
            "uri",
            settings or RoundSettings(),
            clock=lambda: self.now_s,
            now=lambda: NOW + timedelta(seconds=self.now_s),
        )
        self.last: HostRound | None = None

    def round(self, suspects: frozenset[str] | None = NOBODY) -> HostRound:
        """One round, a second after the last; returns it and forgets what was asked before."""
        self.now_s += 1
        self.hypervisor.asked.clear()
        self.hypervisor.read.clear()
        self.last = self.reader.read(self.hypervisor, self.last, suspects)
        return self.last


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.hypervisor.run("one", "two")
    return bench


def test_the_first_round_reads_everything(bench: Bench) -> None:
    got = bench.round()
    assert {vm.name for vm in got.vms.values()} == {"one", "two"}
    assert all(vm.host == "a" and vm.state is VmState.RUNNING for vm in got.vms.values())
    assert got.is_complete
    assert bench.hypervisor.asked == {"facts": 1, "devices": 1, "sample": 1, "domain_xml": 2}


def test_the_next_reads_only_the_sample_and_keeps_every_object(bench: Bench) -> None:
    first = bench.round()
    second = bench.round()
    assert bench.hypervisor.asked == {"sample": 1}
    assert second.vms is first.vms
    assert second.host.topology is first.host.topology


def test_a_suspect_is_read_again_and_only_it(bench: Bench) -> None:
    first = bench.round()
    bench.hypervisor.xml[uuid_of("one")] = domain_xml("one", uuid_of("one"), vcpus=8)
    second = bench.round(frozenset({uuid_of("one")}))
    assert bench.hypervisor.read == ["one"]
    assert second.vms[uuid_of("one")].vcpus == 8
    assert second.vms[uuid_of("two")] is first.vms[uuid_of("two")]


def test_a_suspect_that_did_not_change_stays_the_same_object(bench: Bench) -> None:
    first = bench.round()
    assert bench.round(frozenset({uuid_of("one")})).vms is first.vms


@pytest.mark.parametrize(
    "changed",
    [record("one", state=3, reason=1), record("one", is_persistent=False), record("one", autostart=True)],
)
def test_a_changed_record_is_read_again(bench: Bench, changed: DomainRecord) -> None:
    bench.round()
    bench.hypervisor.records[0] = changed
    bench.round()
    assert bench.hypervisor.read == ["one"]


def test_vms_come_and_go(bench: Bench) -> None:
    bench.round()
    bench.hypervisor.run("three")
    del bench.hypervisor.records[0]
    got = bench.round()
    assert {vm.name for vm in got.vms.values()} == {"two", "three"}
    assert bench.hypervisor.read == ["three"]


def test_a_vm_that_goes_between_list_and_xml_is_left_out(bench: Bench) -> None:
    del bench.hypervisor.xml[uuid_of("one")]
    got = bench.round()
    assert {vm.name for vm in got.vms.values()} == {"two"}
    assert got.is_complete


@pytest.mark.parametrize(
    "hostile",
    [
        "<domain",
        "<network/>",
        "<!DOCTYPE d [<!ENTITY a 'x'>]><domain>&a;</domain>",
        "<domain><vcpu>99999999999999</vcpu></domain>",
        "\ud800",
    ],
)
def test_a_hostile_xml_hides_only_its_own_vm(bench: Bench, hostile: str) -> None:
    bench.hypervisor.xml[uuid_of("one")] = hostile
    got = bench.round()
    broken, good = got.vms[uuid_of("one")], got.vms[uuid_of("two")]
    assert "one" in broken.problem
    assert (broken.name, broken.host, broken.state) == ("one", "a", VmState.RUNNING)
    assert not good.problem
    assert bench.round().vms is got.vms  # and is not read again and again
    assert bench.hypervisor.read == []


def test_an_xml_that_the_host_refuses_is_a_problem_of_that_vm(bench: Bench) -> None:
    bench.hypervisor.errors["domain_xml"] = OperationRefused("Host a refused: busy.", code=1)
    assert {vm.problem for vm in bench.round().vms.values()} == {"Host a refused: busy."}


def test_a_lost_connection_ends_the_round(bench: Bench) -> None:
    bench.hypervisor.errors["domain_xml"] = ConnectionLost("broke")
    with pytest.raises(ConnectionLost):
        bench.round()


def test_capabilities_that_cannot_be_read_end_the_round(bench: Bench) -> None:
    bench.hypervisor.capabilities = "<nothing/>"
    with pytest.raises(InvalidXml):
        bench.round()


def test_a_host_that_cannot_list_devices_has_vms_all_the_same(bench: Bench) -> None:
    bench.hypervisor.errors["devices"] = OperationRefused("no", code=1)
    assert len(bench.round().vms) == 2


def test_facts_and_devices_are_read_every_minute(bench: Bench) -> None:
    bench.hypervisor.device_xml = {"network": ["<network><name>prod</name></network>"]}
    assert bench.round().host.devices.networks == {"prod"}
    reads = 0
    for _ in range(130):
        bench.round()
        reads += bench.hypervisor.asked["facts"]
    assert reads == 2


def test_refreshing_reads_everything(bench: Bench) -> None:
    bench.round()
    bench.round(None)
    assert bench.hypervisor.asked == {"facts": 1, "devices": 1, "sample": 1, "domain_xml": 2}


def test_every_xml_is_read_again_within_minutes_a_few_at_a_time() -> None:
    bench = Bench()
    bench.hypervisor.run(*(f"v{n}" for n in range(90)))
    bench.round()
    reads: list[int] = []
    names: set[str] = set()
    for _ in range(120):
        bench.round()
        reads.append(len(bench.hypervisor.read))
        names |= set(bench.hypervisor.read)
    assert len(names) == 90
    assert max(reads) <= 4


def test_a_slow_host_is_read_in_parts() -> None:
    bench = Bench()
    bench.hypervisor.run(*(f"v{n}" for n in range(10)))
    real = bench.hypervisor.domain_xml

    def slow(uuid: str, *, inactive: bool = False) -> str:
        bench.now_s += 0.3
        return real(uuid, inactive=inactive)

    bench.hypervisor.domain_xml = slow  # type: ignore[method-assign]  # a slower host
    got = [bench.round() for _ in range(5)]
    assert [len(one.vms) for one in got] == [1, 5, 9, 10, 10], "the first part is a short one, to be shown at once"
    assert [one.is_complete for one in got] == [False, False, False, True, True]
    assert [bool(one.unread) for one in got] == [True, True, True, False, False]


def test_a_new_connection_reads_everything_and_is_complete_only_then() -> None:
    bench = Bench(RoundSettings(xml_budget_s=0))
    bench.hypervisor.run("one", "two")
    first, second = bench.round(), bench.round()
    assert (first.is_complete, second.is_complete) == (False, True)
    again = FakeHypervisor()
    again.run("one", "two")
    bench.hypervisor = again
    third = bench.round()
    assert not third.is_complete
    assert third.vms is second.vms  # what was known stays, as it did not change
    assert bench.round().is_complete


def test_loads_need_two_samples_of_one_connection(bench: Bench) -> None:
    def busy(seconds: int) -> None:
        bench.hypervisor.vm_time_ns["one"] = seconds * 10**9
        bench.hypervisor.cpu_time_ns = {"user": seconds, "kernel": 0, "idle": 3 * seconds, "iowait": 0}

    busy(5)
    assert not bench.round().loads
    busy(6)
    got = bench.round()
    assert got.loads[uuid_of("one")].cpu_pct == pytest.approx(100.0)
    assert got.host.usage.cpu_pct == pytest.approx(25.0)
    bench.hypervisor = FakeHypervisor()
    bench.hypervisor.run("one", "two")
    busy(1)
    got = bench.round()
    assert not got.loads
    assert got.host.usage.cpu_pct is None


def test_usage_is_of_the_moment(bench: Bench) -> None:
    rounds = [bench.round() for _ in range(3)]
    ats = [one.host.usage.at for one in rounds]
    assert all(a and b and b - a == timedelta(seconds=1) for a, b in pairwise(ats))


def test_running_since_the_first_poll_that_saw_it(bench: Bench) -> None:
    first = bench.round()
    bench.hypervisor.records[1] = replace(bench.hypervisor.records[1], state=3)
    second = bench.round()
    assert second.running_since_s == {uuid_of("one"): first.at_s}
