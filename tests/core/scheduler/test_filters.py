"""Each filter by itself: what it refuses, the reason key of the reference, and the numbers. Cases from behaviour.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hpconsole.core.model.affinity import ClusterSettings
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.host import (
    Host,
    HostCpuModel,
    HostDevices,
    HostLink,
    HostTopology,
    LinkState,
    MediatedDeviceType,
    PciDevice,
)
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import (
    AssignedDevice,
    CpuPinning,
    CpuPinningPolicy,
    MigrationMode,
    Nic,
    NumaMode,
    NumaPin,
    OtherProcess,
    VcpuTopology,
    Vm,
    VmCpu,
    VmDevices,
    VmIntent,
    VmState,
)
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY, Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.units import Refusal
from tests.builders import MIB, NOW, a_host, a_snapshot, a_topology, a_vm, virtual_nodes


def refusal(
    unit: str,
    host: Host,
    vm: Vm,
    *others: Vm,
    policy: Policy = DEFAULT_POLICY,
    source: Host | None = None,
    settings: ClusterSettings | None = None,
) -> Refusal | None:
    """What this filter says against `host`; the VM runs on `source` where it runs."""
    hosts = [host, source or a_host("source")]
    snapshot = a_snapshot(hosts, [vm, *others])
    if settings is not None:
        snapshot = ClusterSnapshot(**{**snapshot.__dict__, "settings": settings})
    wanted = replace(policy, filters=tuple({*policy.filters, unit}))
    reasons = rank(Request((vm.uuid,)), snapshot, wanted).refusals(host.name)
    return next((reason for reason in reasons if reason.unit == unit), None)


def kind(found: Refusal | None) -> str | None:
    return None if found is None else found.kind


def running(**changes: Any) -> Vm:
    return a_vm(**{"host": "source", **changes})


def starting(**changes: Any) -> Vm:
    return a_vm(**{"host": None, **changes})


def passthrough(vm: Vm) -> Vm:
    return replace(vm, cpu=VmCpu(mode="host-passthrough"))


# CPU-Level

FLAGS = HostCpuModel(arch="x86_64", features=frozenset({"avx", "aes", "sse"}))


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx", "aes", "sse", "avx512"}, None),  # more is fine: the test goes one way
        ({"avx", "sse"}, "CPU_FLAGS_NOT_IDENTICAL"),
        (set(), "CPU_FLAGS_NOT_IDENTICAL"),
    ],
)
def test_passthrough_needs_the_flags_it_started_with(features: set[str], expected: str | None) -> None:
    source = a_host("source", cpu=FLAGS)
    host = a_host("there", cpu=HostCpuModel(arch="x86_64", features=frozenset(features)))
    assert kind(refusal("CPU-Level", host, passthrough(running()), source=source)) == expected
    assert refusal("CPU-Level", host, passthrough(starting()), source=source) is None


def test_an_emulated_guest_needs_no_flags_of_the_host() -> None:
    asked = VmCpu(mode="custom", model="qemu64", required_features=frozenset({"avx512f"}))
    for host in (a_host("there"), a_host("there", cpu=FLAGS)):
        assert refusal("CPU-Level", host, running(virt_type="qemu", cpu=asked)) is None
        assert kind(refusal("CPU-Level", host, running(virt_type="kvm", cpu=asked))) == "LOW_CPU_LEVEL"


def test_missing_flags_are_named_in_order() -> None:
    host = a_host("there", cpu=HostCpuModel(features=frozenset({"sse"})))
    found = refusal("CPU-Level", host, passthrough(running()), source=a_host("source", cpu=FLAGS))
    assert found is not None
    assert "aes, avx" in found.sentence


def test_another_architecture_is_refused() -> None:
    host = a_host("there", cpu=HostCpuModel(arch="aarch64"))
    assert kind(refusal("CPU-Level", host, starting())) == "LOW_CPU_LEVEL"


# CPUTopology


@pytest.mark.parametrize(
    ("topology", "policy", "threads", "expected"),
    [
        (HostTopology(), CpuPinningPolicy.NONE, 1, "NO_HOST_CPU_DATA"),
        (a_topology(2, 1, 4, 1), CpuPinningPolicy.DEDICATED, 2, "NOT_ENOUGH_THREADS_PER_CORE_FOR_DEDICATED"),
        (a_topology(2, 1, 4, 2), CpuPinningPolicy.DEDICATED, 2, None),
        (a_topology(2, 1, 4, 1), CpuPinningPolicy.ISOLATE_THREADS, 2, None),
        (
            a_topology(2, 1, 1, 2),
            CpuPinningPolicy.RESIZE_AND_PIN_NUMA,
            1,
            "NOT_ENOUGH_CORES_PER_SOCKET_FOR_RESIZE_AND_PIN",
        ),
        (a_topology(2, 2, 4, 2), CpuPinningPolicy.RESIZE_AND_PIN_NUMA, 1, "SOCKETS_UNEQUAL_NUMA"),
        (a_topology(2, 1, 4, 2), CpuPinningPolicy.RESIZE_AND_PIN_NUMA, 1, None),
    ],
)
def test_cpu_topology(topology: HostTopology, policy: CpuPinningPolicy, threads: int, expected: str | None) -> None:
    vm = starting(vcpus=2, topology=VcpuTopology(1, 2 // threads, threads), intent=VmIntent(cpu_pinning_policy=policy))
    assert kind(refusal("CPUTopology", a_host("there", topology=topology), vm)) == expected


# CPU: total overcommit is fine, one VM larger than the host is not


def test_cpu_counts_cores_or_threads() -> None:
    host = a_host("there", topology=a_topology(1, 1, 4, 2))
    assert refusal("CPU", host, starting(vcpus=4)) is None
    found = refusal("CPU", host, starting(vcpus=5))
    assert found is not None
    assert (found.kind, found.shortages[0].missing) == ("NOT_ENOUGH_CORES", 1)
    assert refusal("CPU", host, starting(vcpus=8), settings=ClusterSettings(count_threads_as_cores=True)) is None
    others = [a_vm(f"o{i}", host="there", vcpus=4, memory_mib=64) for i in range(5)]
    assert refusal("CPU", host, starting(vcpus=4), *others) is None


def test_cpus_of_their_own_are_not_there_for_others() -> None:
    host = a_host("there", topology=a_topology(1, 1, 4, 1))
    own = a_vm(
        "own",
        host="there",
        vcpus=2,
        pinning=CpuPinning(vcpus=((0, CpuSet.of([0])), (1, CpuSet.of([1])))),
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED),
    )
    assert refusal("CPU", host, starting(vcpus=2), own) is None
    assert kind(refusal("CPU", host, starting(vcpus=3), own)) == "NOT_ENOUGH_CORES"


# CPUOverloaded: busy, and for long enough


@pytest.mark.parametrize(
    ("pct", "minutes", "expected"),
    [(95, 3, "CPU_OVERLOADED"), (95, 1, None), (75, 30, None), (95, None, None), (None, None, "CPU_OVERLOADED")],
)
def test_cpu_overloaded(pct: float | None, minutes: int | None, expected: str | None) -> None:
    host = a_host("there")
    since = None if minutes is None else NOW - timedelta(minutes=minutes)
    host = replace(host, usage=replace(host.usage, cpu_pct=pct, overloaded_since=since))
    assert kind(refusal("CPUOverloaded", host, starting())) == expected


# Memory


def with_memory(free_mib: int, *, swap_mib: int = 0, physical_mib: int = 131_072) -> Host:
    host = a_host("there", memory_kib=physical_mib * MIB)
    usage = replace(
        host.usage,
        memory_free_kib=free_mib * MIB,
        swap_total_kib=swap_mib * MIB,
        swap_free_kib=swap_mib * MIB,
        nodes=(),
    )
    return replace(host, usage=usage)


def test_memory_counts_static_overhead_and_swap() -> None:
    """1,000 MiB need 1,000/512 + 64 MiB beside them."""
    vm = starting(memory_mib=1000, vcpus=1)
    found = refusal("Memory", with_memory(1065), vm)
    assert found is not None
    assert found.shortages[0].missing == pytest.approx(0.95, abs=0.01)
    assert refusal("Memory", with_memory(1066), vm) is None
    assert refusal("Memory", with_memory(65, swap_mib=1001), vm) is None


def test_memory_may_not_be_promised_twice() -> None:
    vm = starting(memory_mib=4000)
    small = with_memory(100_000, physical_mib=8000)
    other = a_vm("other", host="there", memory_mib=4000)
    found = refusal("Memory", small, vm, other)
    assert found is not None
    assert "promise" in found.sentence
    assert refusal("Memory", small, vm, other, settings=ClusterSettings(overcommit_pct=150)) is None


def test_a_paused_vm_is_already_paid_for() -> None:
    paused = running(memory_mib=500_000, state=VmState.PAUSED)
    assert refusal("Memory", with_memory(100), paused) is None


def test_unknown_free_memory_never_fits() -> None:
    host = a_host("there")
    host = replace(host, usage=replace(host.usage, memory_free_kib=None))
    assert kind(refusal("Memory", host, starting())) == "NOT_ENOUGH_MEMORY"


# Swap


def test_swap() -> None:
    host = a_host("there", memory_kib=1000 * MIB)
    used = replace(host.usage, swap_total_kib=500 * MIB, swap_free_kib=100 * MIB, memory_free_kib=300 * MIB)
    host = replace(host, usage=used)
    found = refusal("Swap", host, starting())
    assert found is not None
    assert found.shortages[0].needed == 10  # (500 - 100 - 300) / 1000
    tolerant = replace(DEFAULT_POLICY, parameters={**DEFAULT_POLICY.parameters, "MaximumAllowedSwapUsage": 10})
    assert refusal("Swap", host, starting(), policy=tolerant) is None
    assert refusal("Swap", host, running(state=VmState.PAUSED)) is None


# NUMA


def test_numa_says_which_nodes_are_missing_or_short() -> None:
    vm = starting(vcpus=2, memory_mib=2048, virtual_nodes=virtual_nodes(2, vcpus=2, memory_mib=2048, pins=((0,), (5,))))
    found = refusal("NUMA", a_host("there"), vm)
    assert found is not None
    assert "no NUMA node 5" in found.sentence
    big = starting(
        vcpus=2, memory_mib=300_000, virtual_nodes=virtual_nodes(2, vcpus=2, memory_mib=300_000, pins=((0,), (1,)))
    )
    found = refusal("NUMA", a_host("there"), big)
    assert found is not None
    assert found.shortages[0].what == "free memory on node 0"


def test_a_preferred_node_needs_a_numa_host_but_no_room() -> None:
    nodes = tuple(
        replace(node, mode=NumaMode.PREFERRED) for node in virtual_nodes(1, vcpus=1, memory_mib=900_000, pins=((0,),))
    )
    vm = starting(vcpus=1, memory_mib=900_000, virtual_nodes=nodes)
    assert refusal("NUMA", a_host("there"), vm) is None
    bare = a_host("there", topology=replace(a_topology(1, 1, 8, 1), nodes=()))
    assert kind(refusal("NUMA", bare, vm)) == "NUMA_NOT_SUPPORTED"


# PinToHost and Migration


@pytest.mark.parametrize(
    ("mode", "allowed", "is_running", "expected"),
    [
        (MigrationMode.DO_NOT_MIGRATE, ("there",), False, None),
        (MigrationMode.DO_NOT_MIGRATE, ("source",), False, "NOT_PINNED_TO_HOST"),
        (MigrationMode.DO_NOT_MIGRATE, (), False, None),
        (MigrationMode.DO_NOT_MIGRATE, (), True, "NOT_PINNED_TO_HOST"),
        (MigrationMode.MANUAL, ("source",), True, None),  # only a preference at the start
    ],
)
def test_pin_to_host(mode: MigrationMode, allowed: tuple[str, ...], is_running: bool, expected: str | None) -> None:
    vm = (running if is_running else starting)(intent=VmIntent(migration_mode=mode, allowed_hosts=allowed))
    assert kind(refusal("PinToHost", a_host("there"), vm)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, None), ({"hostname": "source"}, "SAME_HOST"), ({"uuid": "u-1"}, "SAME_HOST"), ({"hostname": ""}, None)],
)
def test_migration_needs_another_machine(changes: dict[str, Any], expected: str | None) -> None:
    host = a_host("there", **changes)
    assert kind(refusal("Migration", host, running(), source=a_host("source", uuid="u-1"))) == expected


# Compatibility-Version, Emulated-Machine


@pytest.mark.parametrize(
    ("qemu", "libvirt", "expected"),
    [
        (7_002_022, 9_000_000, None),
        (7_002_001, 9_000_000, None),  # a release of the same minor version
        (8_000_000, 8_000_000, "UNSUPPORTED_COMPATIBILITY_VERSION"),
        (7_001_000, 9_000_000, "UNSUPPORTED_COMPATIBILITY_VERSION"),
        (None, None, None),
    ],
)
def test_versions(qemu: int | None, libvirt: int | None, expected: str | None) -> None:
    host = a_host("there", hypervisor_version=qemu, libvirt_version=libvirt)
    assert kind(refusal("Compatibility-Version", host, running())) == expected


@pytest.mark.parametrize(("known", "expected"), [({"q35"}, None), ({"pc"}, True), (set(), True)])
def test_machine_types(known: set[str], expected: bool | None) -> None:
    found = refusal("Emulated-Machine", a_host("there", machine_types=frozenset(known)), starting(machine="q35"))
    assert (found is not None) == bool(expected)


# Devices and networks


def test_networks_and_bridges() -> None:
    vm = starting(devices=VmDevices(nics=(Nic("network", "blue"), Nic("bridge", "br0"), Nic("user"))))
    fine = a_host("there", devices=HostDevices(networks=frozenset({"blue"}), bridges=frozenset({"br0", "br1"})))
    assert refusal("Network", fine, vm) is None
    silent = a_host("there", devices=HostDevices(networks=frozenset({"blue"})))
    assert refusal("Network", silent, vm) is None, "a host that tells no bridges at all cannot be judged by them"
    found = refusal("Network", a_host("there", devices=HostDevices(bridges=frozenset({"br1"}))), vm)
    assert found is not None
    assert (found.kind, found.sentence.endswith("blue, br0.")) == ("NETWORK_MISSING", True)
    optional = ClusterSettings(only_required_networks=True)
    assert refusal("Network", a_host("there"), vm, settings=optional) is None


def test_host_devices_stay_with_their_host() -> None:
    vm = VmDevices(assigned=(AssignedDevice("pci", "0000:3b:00.0"),))
    has = a_host("there", devices=HostDevices(pci=(PciDevice("0000:3b:00.0"),), has_device_passthrough=True))
    assert refusal("HostDevice", has, starting(devices=vm)) is None
    assert kind(refusal("HostDevice", has, running(devices=vm))) == "WRONG_HOST_FOR_REQUESTED_HOST_DEVICES"
    assert kind(refusal("HostDevice", a_host("there"), starting(devices=vm))) == "HOSTDEV_DISABLED"
    bare = a_host("there", devices=HostDevices(has_device_passthrough=True))
    assert kind(refusal("HostDevice", bare, starting(devices=vm))) == "HOST_DEVICE_UNAVAILABLE"
    tied = starting(devices=vm, intent=VmIntent(allowed_hosts=("source", "there")))
    assert kind(refusal("HostDevice", has, tied)) == "WRONG_HOST_FOR_REQUESTED_HOST_DEVICES"
    movable = VmDevices(assigned=(AssignedDevice("pci", "0000:3b:00.0", is_migratable=True),))
    assert refusal("HostDevice", a_host("there"), running(devices=movable)) is None


@pytest.mark.parametrize(
    ("available", "expected"),
    [(2, None), (0, "HOST_MDEV_DEVICE_UNAVAILABLE"), (None, "HOST_MDEV_DEVICE_MISSING")],
)
def test_mediated_devices(available: int | None, expected: str | None) -> None:
    kinds = () if available is None else (MediatedDeviceType("nvidia-1", available),)
    vm = starting(devices=VmDevices(mediated_types=("nvidia-1",)))
    assert kind(refusal("MDevice", a_host("there", devices=HostDevices(mediated=kinds)), vm)) == expected


# Migration-Tsc-Frequency: 250 ppm of the whole source frequency, rounded down


@pytest.mark.parametrize(
    ("there", "scaling", "expected"),
    [
        (2_000_000_000, False, None),
        (2_000_500_000, False, None),
        (2_000_500_001, False, "TSC_FREQ_MISMATCH"),
        (3_000_000_000, True, None),
        (None, False, "TSC_FREQ_MISMATCH"),
    ],
)
def test_tsc(there: int | None, scaling: bool, expected: str | None) -> None:
    source = a_host("source", cpu=HostCpuModel(tsc_frequency_hz=2_000_000_000))
    host = a_host("there", cpu=HostCpuModel(tsc_frequency_hz=there, has_tsc_scaling=scaling))
    vm = running(intent=VmIntent(needs_tsc_frequency=True))
    assert kind(refusal("Migration-Tsc-Frequency", host, vm, source=source)) == expected
    assert refusal("Migration-Tsc-Frequency", host, vm, source=a_host("source")) is None, "unknown source frequency"


# ClusterInMaintenance


def test_in_maintenance_only_ha_vms_start() -> None:
    policy = next(policy for policy in BUILT_IN if policy.name == "cluster_maintenance")
    assert kind(refusal("ClusterInMaintenance", a_host("there"), starting(), policy=policy)) == "CLUSTER_IN_MAINTENANCE"
    ha = starting(intent=VmIntent(high_availability=True))
    assert refusal("ClusterInMaintenance", a_host("there"), ha, policy=policy) is None
    assert refusal("ClusterInMaintenance", a_host("there"), running(), policy=policy) is None


# Bad input: a refusal or a sentence, never a traceback


@pytest.mark.parametrize(
    "host",
    [
        Host(name="there", link=HostLink(LinkState.CONNECTED)),
        a_host("there", topology=HostTopology()),
        a_host("there", memory_kib=0),
        a_host("there", topology=replace(a_topology(1, 1, 4, 1), nodes=())),
        a_host("there", topology=replace(a_topology(2, 1, 4, 1), sockets=0, cores=0, threads=0)),
        a_host("there", topology=a_topology(8, 8, 16, 1)),  # 64 nodes, 1,024 CPUs
        a_host("there", isolated_cpus=CpuSet.parse("0-15")),
    ],
)
def test_odd_hosts_are_judged(host: Host) -> None:
    for policy in CpuPinningPolicy:
        vm = running(
            vcpus=4,
            topology=VcpuTopology(2, 2, 1),
            virtual_nodes=virtual_nodes(2, vcpus=4, memory_mib=1024, pins=((0,), (1,))),
            pinning=CpuPinning(vcpus=tuple((i, CpuSet.of([i * 2])) for i in range(4))),
            intent=VmIntent(cpu_pinning_policy=policy),
        )
        for one in BUILT_IN:
            ranking = rank(Request((vm.uuid,)), a_snapshot([a_host("source"), host], [vm]), one)
            for name in ranking.refused:
                assert ranking.refusals(name)
                ranking.would_help(name)
            for name in ranking.accepted:
                ranking.placement(name, vm.uuid)


def test_contradictory_intents_get_a_sentence() -> None:
    vm = starting(
        vcpus=2,
        intent=VmIntent(cpu_pinning_policy=CpuPinningPolicy.MANUAL, cpu_pinning=((7, CpuSet.of([0])),)),
    )
    found = refusal("CpuPinning", a_host("there"), vm)
    assert found is not None
    assert "vCPU 7" in found.sentence


# VM-Name


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"host": "there", "state": VmState.RUNNING}, "which runs there"),
        ({"host": "there"}, "defined there"),
        ({"host": "source", "other_hosts": ("there",)}, "defined there"),
        ({"host": "source"}, None),
    ],
)
def test_a_namesake_on_the_host_is_refused(other: dict[str, Any], expected: str | None) -> None:
    namesake = replace(a_vm("other", host=None), name="vm-1", **other)
    found = refusal("VM-Name", a_host("there"), running(name="vm-1"), namesake)
    assert kind(found) == (None if expected is None else "VM_NAME_TAKEN")
    if found is not None and expected is not None:
        assert expected in found.sentence
        assert namesake.uuid in found.sentence


def test_the_own_definition_on_the_host_is_no_namesake() -> None:
    assert refusal("VM-Name", a_host("there"), running(name="vm-1", other_hosts=("there",))) is None


def test_namesakes_are_followed_from_snapshot_to_snapshot() -> None:
    vm, other = running(name="vm-1"), a_vm("vm-2", host="there")
    hosts = [a_host("there"), a_host("source")]
    request = Request((vm.uuid,))
    renamed = replace(other, name="vm-1")
    for others, accepted in (([other], True), ([renamed], False), ([other], True), ([], True), ([renamed], False)):
        found = rank(request, a_snapshot(hosts, [vm, *others]))
        assert ("there" in found.accepted) is accepted, others


def test_a_vm_that_another_console_migrates_in_has_its_cpus_there() -> None:
    """It runs on its source still; the process that waits at the destination is pinned there already."""
    policy = VmIntent(cpu_pinning_policy=CpuPinningPolicy.DEDICATED)
    host = a_host("there", topology=a_topology(1, 1, 4, 1))
    coming = replace(
        a_vm("coming", host="source", vcpus=2, intent=policy),
        other_processes=(OtherProcess("there", CpuPinning(vcpus=((0, CpuSet.of([0])), (1, CpuSet.of([1]))))),),
    )
    three = starting(name="three", vcpus=3, topology=VcpuTopology(1, 3, 1), intent=policy)
    assert refusal("CpuPinning", host, three) is None
    assert kind(refusal("CpuPinning", host, three, coming)) == "VM_PINNING_DEDICATED_NOT_FIT"
    two = starting(name="two", vcpus=2, topology=VcpuTopology(1, 2, 1), intent=policy)
    ranking = rank(Request((two.uuid,)), a_snapshot([host, a_host("source")], [two, coming]))
    placed = ranking.placement("there", two.uuid)
    assert isinstance(placed, Placement)
    assert placed.pinning.all_vcpu_cpus == CpuSet.of([2, 3])
    # its own process at the destination does not stand in its own way
    assert "there" in rank(Request((coming.uuid,)), a_snapshot([host, a_host("source")], [coming])).accepted


# Unknown is not zero


def test_free_memory_that_is_not_told_is_said_to_be_unknown() -> None:
    silent = a_host("there")
    silent = replace(silent, usage=replace(silent.usage, nodes=()))
    vm = starting(
        memory_mib=4096, huge_page_kib=2048, virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=4096, pins=[[0]])
    )
    for unit in ("NUMA", "HugePages"):
        found = refusal(unit, silent, vm)
        assert found is not None
        assert "does not tell" in found.sentence
        assert found.shortages == ()


def test_a_node_that_is_silent_is_not_told_as_empty() -> None:
    host = a_host("there")
    first = replace(host.usage.nodes[0], free_pages=((2048, 10),))
    half = replace(host, usage=replace(host.usage, nodes=(first,)))
    vm = starting(memory_mib=1024, huge_page_kib=2048, virtual_nodes=virtual_nodes(1, vcpus=4, memory_mib=1024))
    vm = replace(vm, intent=VmIntent(numa_pins=(NumaPin(0),)))
    found = refusal("NUMA", half, vm)
    assert found is not None
    assert found.sentence.endswith("Of node 1 the host does not tell what is free.")
    assert [shortage.what for shortage in found.shortages] == ["free 2-MiB pages on node 0"]
