"""If this host failed now: who comes back, and for want of what the others do not. Joint, exact, with names."""

from __future__ import annotations

from hpconsole.core.availability.evacuation import plan_evacuation
from hpconsole.core.availability.health import HealthState, HostHealth
from hpconsole.core.availability.proof import prove
from hpconsole.core.availability.settings import Evacuation, FenceDevice
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import HostStatus
from hpconsole.core.model.vm import CpuPinning, CpuPinningPolicy, MigrationMode, VcpuTopology, Vm, VmIntent
from hpconsole.core.scheduler.policies import DEFAULT_POLICY
from tests.builders import a_host, a_snapshot, a_vm

HA = VmIntent(high_availability=True)


def dedicated(name: str, vcpus: int, *, first: int = 0, host: str = "host-a", priority: int = 50) -> Vm:
    """A highly available VM with CPUs of its own."""
    intent = VmIntent(high_availability=True, cpu_pinning_policy=CpuPinningPolicy.DEDICATED, priority=priority)
    pins = tuple((vcpu, CpuSet.of([first + vcpu])) for vcpu in range(vcpus))
    return a_vm(
        name,
        host=host,
        vcpus=vcpus,
        memory_mib=1024,
        intent=intent,
        topology=VcpuTopology(1, vcpus, 1),
        pinning=CpuPinning(pins),
    )


def test_each_alone_would_fit_but_not_all_together() -> None:
    # host-b has 32 CPUs: three VMs of 14 need 42
    vms = [dedicated(f"db-{number}", 14, first=number * 14, priority=90 - number) for number in range(2)]
    vms += [dedicated("db-2", 14, first=0, priority=10)]
    proof = prove(a_snapshot(2, vms), DEFAULT_POLICY)
    (host,) = proof.hosts
    assert not proof.is_safe
    assert [name for _, name, _ in host.restarts] == ["db-0", "db-1"]
    (left,) = host.unprotected
    assert left.vm_name == "db-2", "the least important one stays out"
    assert "CPU" in left.resource or "core" in left.resource
    assert left.shortages[0].missing > 0
    assert left.hosts[0][0] == "host-b"
    assert "host-b: host-b" not in left.sentence
    assert left.sentence.startswith("db-2 would not come back. Nearest to taking it: host-b has 16 cores;")
    assert host.sentence == "If host-a failed now: 2 of its 3 highly available VMs would come back."


def test_a_single_vm_is_told_as_one() -> None:
    (lost,) = prove(a_snapshot(1, [a_vm("ha", intent=HA)]), DEFAULT_POLICY).hosts
    assert lost.sentence == "If host-a failed now: its only highly available VM would not come back."
    (back,) = prove(a_snapshot(2, [a_vm("ha", intent=HA)]), DEFAULT_POLICY).hosts
    assert back.sentence == "If host-a failed now: its only highly available VM would come back."
    vms = [a_vm("ha-1", intent=HA), a_vm("ha-2", intent=HA)]
    (none,) = prove(a_snapshot(1, vms), DEFAULT_POLICY).hosts
    assert none.sentence == "If host-a failed now: none of its 2 highly available VMs would come back."


def test_what_is_kept_for_others_is_told_in_full() -> None:
    vms = [dedicated(f"db-{number}", 14, first=number * 14) for number in range(2)]
    vms.append(a_vm("shared", host="host-b", vcpus=8, memory_mib=1024))
    (host,) = prove(a_snapshot(2, vms), DEFAULT_POLICY).hosts
    assert host.unprotected[0].sentence.endswith("must be left for the largest VM without CPUs of its own.")


def test_a_third_host_makes_it_safe() -> None:
    vms = [dedicated(f"db-{number}", 14, first=number * 14) for number in range(3)]
    assert prove(a_snapshot(3, vms), DEFAULT_POLICY).is_safe


def test_only_highly_available_vms_count_and_the_dead_host_is_no_place() -> None:
    vms = [a_vm("plain"), a_vm("ha", intent=HA)]
    proof = prove(a_snapshot(1, vms), DEFAULT_POLICY)
    (host,) = proof.hosts
    assert [one.vm_name for one in host.unprotected] == ["ha"]
    assert host.unprotected[0].resource == "hosts"


def test_a_host_in_maintenance_takes_nobody() -> None:
    hosts = [a_host("host-a"), a_host("host-b", status=HostStatus.MAINTENANCE)]
    proof = prove(a_snapshot(hosts, [a_vm("ha", intent=HA)]), DEFAULT_POLICY)
    assert not proof.is_safe
    assert "maintenance" in proof.hosts[0].unprotected[0].sentence


def test_a_vm_that_its_old_host_would_start_by_itself_is_not_protected() -> None:
    proof = prove(a_snapshot(2, [a_vm("ha", intent=HA, autostart=True)]), DEFAULT_POLICY)
    (left,) = proof.hosts[0].unprotected
    assert "second copy" in left.sentence


def test_a_host_without_a_fence_device_is_said() -> None:
    snapshot = a_snapshot(2, [a_vm("ha", intent=HA)])
    assert "confirm-off" in prove(snapshot, DEFAULT_POLICY).hosts[0].warnings[0]
    devices = {"host-a": FenceDevice("host-a", "fence_ipmilan")}
    assert not prove(snapshot, DEFAULT_POLICY, devices=devices).hosts[0].warnings


def test_who_does_not_migrate_restarts_only_where_it_may_be() -> None:
    tied = VmIntent(
        high_availability=True, migration_mode=MigrationMode.DO_NOT_MIGRATE, allowed_hosts=("host-a", "host-c")
    )
    proof = prove(a_snapshot(3, [a_vm("ha", intent=tied)]), DEFAULT_POLICY)
    assert [host for _, _, host in proof.hosts[0].restarts] == ["host-c"]


# Evacuation


def unfit(host: str = "host-a") -> HostHealth:
    return HostHealth(host, HealthState.NON_OPERATIONAL, sentence="Storage pool fast is not active on host-a.")


def test_one_manual_vm_holds_up_no_other() -> None:
    vms = [
        a_vm("auto-1"),
        a_vm("manual", intent=VmIntent(migration_mode=MigrationMode.MANUAL)),
        a_vm("stays", intent=VmIntent(migration_mode=MigrationMode.DO_NOT_MIGRATE)),
        a_vm("ha", intent=HA),
    ]
    found = plan_evacuation(unfit(), Evacuation.ALL, a_snapshot(2, vms), DEFAULT_POLICY)
    assert found.plan is not None
    assert sorted(step.vm_name for step in found.plan.steps) == ["auto-1", "ha"]
    assert {sentence.split()[0] for sentence in found.staying} == {"manual", "stays"}


def test_by_setting_only_highly_available_ones_or_none_move() -> None:
    snapshot = a_snapshot(2, [a_vm("auto-1"), a_vm("ha", intent=HA)])
    only = plan_evacuation(unfit(), Evacuation.ONLY_HIGHLY_AVAILABLE, snapshot, DEFAULT_POLICY)
    assert only.plan is not None
    assert [step.vm_name for step in only.plan.steps] == ["ha"]
    assert plan_evacuation(unfit(), Evacuation.NONE, snapshot, DEFAULT_POLICY).plan is None


def test_nothing_goes_to_another_unfit_host() -> None:
    snapshot = a_snapshot(2, [a_vm("auto-1")])
    found = plan_evacuation(unfit(), Evacuation.ALL, snapshot, DEFAULT_POLICY, unfit=frozenset({"host-b"}))
    assert found.plan is None
    assert found.staying
