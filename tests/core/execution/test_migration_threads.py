"""CPUs lent to the threads that send a VM: given back afterwards, and never taken for what it is meant to have."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hpconsole.core.errors import OperationRefused
from hpconsole.core.events import (
    PlanSubmitted,
    StepFinished,
    StepOutcome,
    StepStarted,
)
from hpconsole.core.execution.console_identity import ConsoleIdentity
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.journal import MemoryJournal, Phase
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.repairs import Repairs
from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.lent_mark import LentMark, has_mark, with_mark
from hpconsole.core.hypervisor.simulated.cluster import SimulatedCluster
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.machines import HostModel
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import VmState
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from hpconsole.core.scheduler.request import Request
from tests.core.execution.conftest import ConsoleMaker
from tests.core.execution.console import (
    FOUR_NODES,
    TWO_NODES,
    Console,
    a_cluster,
    a_guest,
    a_pinned_guest,
    uuid_of,
)


class TestMigrationThreads:
    """A guest of four pinned vCPUs whose emulator is not pinned."""

    def guest(self) -> GuestModel:
        return replace(a_pinned_guest(), emulator_pin=CpuSet())

    def emulator(self, one: Console, host: str) -> CpuSet | None:
        """Where its threads really run, whatever is meant."""
        hypervisor = one.cluster.open(one.cluster.uris()[host])
        record = next(record for record in hypervisor.sample().domains if record.name == "db-1")
        return read_vm(record, with_mark(hypervisor.domain_xml(record.uuid), None), host=host).pinning.emulator

    def marked(self, one: Console, host: str) -> bool:
        return has_mark(one.cluster.open(one.cluster.uris()[host]).domain_xml(uuid_of("db-1")))

    def test_they_are_off_its_cpus_meanwhile_and_back_after_a_cancelled_one(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(self.guest(), link_mib_s=5))
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        known = KnownBefore.from_json(one.journal.open_records()[0].facts)
        assert known.emulator_here == "0-31", "whoever looks after it next knows what to give back"
        meanwhile = self.emulator(one, "a")
        assert meanwhile is not None
        assert meanwhile.isdisjoint(CpuSet.parse("1-2,9-10"))
        assert "Meanwhile its migration threads run on CPUs" in one.log.of(StepStarted)[0].step.sentence
        one.executor.cancel(plan.plan_id)
        assert one.end_of(plan)[0].outcome is StepOutcome.CANCELLED
        assert self.emulator(one, "a") == CpuSet.parse("0-31")
        assert not self.marked(one, "a")
        assert not one.store.lent.of("a"), "from now on the host is believed"

    def test_once_there_it_is_as_planned(self, console: ConsoleMaker) -> None:
        one = console(a_cluster(self.guest()))
        end = one.run("db-1", to="b")
        assert end.outcome is StepOutcome.DONE
        assert "Its pinning there is as planned." in end.sentence
        there = self.emulator(one, "b")
        assert there is None or len(there) == 32
        assert not self.marked(one, "b")
        assert one.vm_on("b", "db-1", inactive=True).pinning.emulator is None

    def test_one_that_arrives_paused_by_somebody_gets_them_back_too(self, console: ConsoleMaker) -> None:
        """And its definition and autostart go with it: letting it go on is all that is left to do."""
        one = console(self.cluster(autostart=True))
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        one.cluster.open("sim://a").suspend(uuid_of("db-1"))
        (end,) = one.end_of(plan)
        assert end.end_state == EndState.PAUSED_ON_DESTINATION.value
        assert self.emulator(one, "b") == CpuSet.parse("0-31")
        assert not self.marked(one, "b")
        assert "db-1" not in one.names_on("a")
        there = one.vm_on("b", "db-1")
        assert (there.state, there.autostart) == (VmState.PAUSED, True)
        Repairs(one.pool, one.journal, deadline_s=2).recover(uuid_of("db-1"))
        assert one.vm_on("b", "db-1").state is VmState.RUNNING

    def test_a_mark_that_could_not_be_removed_is_not_called_cpus_that_were_kept(self, console: ConsoleMaker) -> None:
        one = console(self.cluster())
        one.ready()

        def refuse(_uuid: str, _mark: LentMark | None) -> None:
            raise OperationRefused("It is busy.", subject="db-1")

        object.__setattr__(one.pool.hypervisor("b"), "mark_lent", refuse)
        end = one.run("db-1", to="b")
        assert self.emulator(one, "b") == CpuSet.parse("0-31")
        assert "Its emulator threads got CPUs 0-31 of b back, but it may still say" in end.sentence
        assert "did not get" not in end.sentence

    def cluster(self, *, autostart: bool = False) -> SimulatedCluster:
        """The guest is on a, another with CPUs of its own on b."""
        return SimulatedCluster(
            clock=lambda: time.monotonic() * 10,
            hosts=[HostModel("a", TWO_NODES, link_mib_s=8), HostModel("b", TWO_NODES), HostModel("c", FOUR_NODES)],
            guests={
                "a": [replace(self.guest(), autostart=autostart)],
                "b": [a_guest("web-1", vcpu_pins=(CpuSet.of([3]), CpuSet.of([4])))],
            },
        )

    def test_plans_made_meanwhile_and_afterwards_count_with_what_is_meant(self, console: ConsoleMaker) -> None:
        one = console(self.cluster())
        places = self.places(one.ready())
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        for host in "ab":
            lent = self.emulator(one, host)
            assert lent is not None, "the host itself, asked past the console, tells of lent CPUs"
            assert len(lent) < 32
        snapshot = self.read_again(one)
        vm = snapshot.vms[uuid_of("db-1")]
        assert vm.pinning.emulator is None
        assert [(process.host, process.pinning.emulator) for process in vm.other_processes] == [("b", None)]
        assert self.places(snapshot) == places, "a plan for the VM itself"
        taken = occupancy(snapshot.hosts["a"], snapshot.vms.values())
        assert (taken.exclusive, taken.shared) == (CpuSet.parse("1-2,9-10"), CpuSet()), "a plan for another VM"
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE
        arrived = self.read_again(one)
        assert self.emulator(one, "b") == CpuSet.parse("0-31"), "all CPUs: an element, but no pin"
        assert arrived.vms[uuid_of("db-1")].pinning == plan.steps[0].placement.pinning
        assert occupancy(arrived.hosts["b"], arrived.vms.values()).shared == CpuSet()
        assert not one.store.lent.of("a")
        assert not one.store.lent.of("b")

    def test_another_console_plans_with_what_is_meant_too(self, console: ConsoleMaker) -> None:
        """Whose own memory knows of no lent CPUs: the VM itself tells it."""
        cluster = self.cluster()
        one = console(cluster)
        places = self.places(one.ready())
        plan = one.submit("db-1", to="b")
        one.wait_for_progress()
        two = console(cluster)
        snapshot = two.ready()
        for host in "ab":
            assert self.marked(two, host)
            assert len(self.emulator(two, host) or ()) < 32
            assert not two.store.lent.of(host)
        vm = snapshot.vms[uuid_of("db-1")]
        assert vm.pinning.emulator is None
        assert [(process.host, process.pinning.emulator) for process in vm.other_processes] == [("b", None)]
        assert occupancy(snapshot.hosts["a"], snapshot.vms.values()).shared == CpuSet()
        assert self.places(snapshot) == places
        assert one.end_of(plan)[0].outcome is StepOutcome.DONE
        assert not self.marked(one, "b")

    @pytest.mark.parametrize("is_cancelled", [False, True])
    def test_the_next_console_gives_back_what_a_killed_one_lent(
        self, console: ConsoleMaker, is_cancelled: bool
    ) -> None:
        cluster = a_cluster(self.guest(), link_mib_s=8)
        one = console(cluster, identity=ConsoleIdentity("dead", "a machine that is gone", 1))
        one.submit("db-1", to="b")
        one.wait_for_progress()
        left = MemoryJournal()
        for record in one.journal.open_records():
            left.begin(record)
            left.advance(record.migration_id, Phase.MIGRATING, "", dict(record.facts))
        two = console(cluster, left)
        one.executor.close(0)
        two.ready()
        two.executor.recover()
        if is_cancelled:
            adopted = two.log.wait(PlanSubmitted)
            two.executor.cancel(adopted.plan.plan_id)
        end = two.log.wait(StepFinished)
        host = "a" if is_cancelled else "b"
        assert end.outcome is (StepOutcome.CANCELLED if is_cancelled else StepOutcome.DONE), end.sentence
        assert self.emulator(two, host) in (None, CpuSet.parse("0-31"))
        assert not self.marked(two, host)

    def places(self, snapshot: ClusterSnapshot) -> list[Placement | Misfit | None]:
        ranking = rank(Request((uuid_of("db-1"),)), snapshot, DEFAULT_POLICY, ())
        return [ranking.placement(host, uuid_of("db-1")) for host in "bc"]

    def read_again(self, one: Console) -> ClusterSnapshot:
        """A snapshot after every VM's XML was read once more: the first round to end may have begun before."""
        one.poller.refresh()
        self.next_round(one)
        return self.next_round(one)

    def next_round(self, one: Console) -> ClusterSnapshot:
        known = {name: host.usage.at for name, host in one.store.snapshot.hosts.items()}
        return one.wait_for(lambda new: all(host.usage.at != known[name] for name, host in new.hosts.items()))
