"""What is read from a domain's XML, and what is no domain at all."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.domain_state import is_held_by_migration, reason_of, state_of
from hpconsole.core.hypervisor.domain_xml import read_vm, with_intent
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import (
    AssignedDevice,
    CpuPinning,
    CpuPinningPolicy,
    Disk,
    MigrationMode,
    Nic,
    NumaMode,
    NumaPin,
    NumaTune,
    OptimizedFor,
    VcpuTopology,
    VirtualNumaNode,
    Vm,
    VmIntent,
    VmState,
)
from tests.core.hypervisor.xml_samples import AWKWARD, DENSE, OWN, PINNED, RECORD, foreign, foreign_files, text_of


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def vm_of(inside: str, kind: str = "kvm") -> Vm:
    return read_vm(RECORD, f"<domain type='{kind}'>{inside}</domain>", host="host-a")


@foreign("domain-xml")
def test_others_definitions_are_read(path: Path) -> None:
    vm = read_vm(RECORD, text_of(path), host="host-a")
    assert vm.uuid == RECORD.uuid
    assert vm.vcpus >= 1
    assert vm.virt_type
    assert not vm.intent.is_stored
    assert not vm.intent.problem


def test_a_pinned_vm_is_read_whole() -> None:
    vm = read_vm(RECORD, PINNED, host="host-a")
    assert (vm.uuid, vm.name, vm.host) == (RECORD.uuid, "vm-1", "host-a")
    assert (vm.state, vm.state_reason, vm.is_persistent) == (VmState.RUNNING, "started", True)
    assert (vm.vcpus, vm.topology) == (4, VcpuTopology(sockets=2, dies=1, cores=2, threads=2))
    assert vm.memory_kib == 8 * 1024**2
    assert vm.virtual_nodes == (
        VirtualNumaNode(0, cpus("0-1,4-5"), 4 * 1024**2, (0,), NumaMode.STRICT, 2048),
        VirtualNumaNode(1, cpus("2-3,6-7"), 4 * 1024**2, (1,), NumaMode.STRICT, 2048),
    )
    assert vm.numa_tune == NumaTune(NumaMode.STRICT, cpus("0-1"))
    assert vm.huge_page_kib == 2048
    assert vm.pinning == CpuPinning(
        vcpus=((0, cpus("2")), (1, cpus("10")), (2, cpus("3")), (3, cpus("11"))),
        emulator=cpus("0,8"),
        iothreads=((1, cpus("0")), (2, cpus("8"))),
    )
    assert (vm.iothreads, vm.iothread_ids) == (2, (1, 2))
    assert vm.cpu.is_passthrough
    assert vm.cpu.required_features == {"invtsc"}
    assert (vm.arch, vm.machine, vm.virt_type) == ("x86_64", "pc-q35-7.2", "kvm")
    assert vm.devices.nics == (Nic("network", "prod", is_link_up=False),)
    assert vm.devices.disks == (Disk("vda", "file", "disk", "/srv/vm-1.qcow2", "none"),)
    assert vm.devices.assigned == (AssignedDevice("pci", "0000:3b:00.1"),)
    assert vm.devices.has_tpm_state
    assert vm.devices.has_nvram


def test_awkward_writing_is_the_same_to_a_reader() -> None:
    vm = read_vm(RECORD, AWKWARD, host="host-a")
    assert vm.vcpus == 2
    assert vm.pinning.of_vcpu(0) == cpus("1")
    assert vm.pinning.of_vcpu(1) == cpus("0-1,3")  # <vcpu cpuset> holds for those without a pin
    assert vm.pinning.emulator == cpus("0-1,3")  # the one in the comment is none
    dense = read_vm(RECORD, DENSE, host="host-a")
    assert [(node.node_id, node.memory_kib) for node in dense.virtual_nodes] == [(0, 256 * 1024), (1, 256 * 1024)]
    assert dense.memory_kib == 512 * 1024


def test_what_is_not_said_is_libvirts_default() -> None:
    vm = vm_of("")
    assert (vm.vcpus, vm.memory_kib, vm.topology) == (1, 0, VcpuTopology())
    assert vm_of("<vcpu>6</vcpu>").topology == VcpuTopology(sockets=6)
    assert (
        vm_of("<vcpu>8</vcpu><cpu><topology sockets='1' clusters='2' cores='2' threads='2'/></cpu>").topology.cores == 4
    )
    assert vm_of("<cpu><model>EPYC</model></cpu>").cpu.mode == "custom"
    assert vm_of("<numatune><memory nodeset='0'/></numatune>").numa_tune == NumaTune(NumaMode.STRICT, cpus("0"))
    assert vm_of("<numatune><memory mode='strict' placement='auto'/></numatune>").numa_tune is None


def test_cells_may_lack_cpus_and_numbers() -> None:
    vm = vm_of("<cpu><numa><cell memory='1' unit='GiB'/><cell cpus='0' memory='512' unit='M'/></numa></cpu>")
    assert [(n.node_id, n.vcpus, n.memory_kib) for n in vm.virtual_nodes] == [
        (0, CpuSet(), 1024**2),
        (1, cpus("0"), 512 * 1024),
    ]


@pytest.mark.parametrize("mode", list(NumaMode))
def test_every_tune_mode(mode: NumaMode) -> None:
    vm = vm_of(
        "<cpu><numa><cell id='0' memory='1024'/></numa></cpu>"
        f"<numatune><memory mode='{mode}' nodeset='1-3'/><memnode cellid='0' mode='{mode}' nodeset='2-3'/></numatune>"
    )
    assert vm.numa_tune == NumaTune(mode, cpus("1-3"))
    assert (vm.virtual_nodes[0].host_nodes, vm.virtual_nodes[0].mode) == ((2, 3), mode)


@pytest.mark.parametrize(
    ("pages", "arch", "whole", "nodes"),
    [
        ("", "x86_64", 2048, [2048, 2048]),
        ("", "s390x", 1024, [1024, 1024]),
        ("<page size='1' unit='GiB'/>", "x86_64", 1024**2, [1024**2, 1024**2]),
        ("<page size='1048576'/><page size='2' unit='M' nodeset='1'/>", "x86_64", 1024**2, [1024**2, 2048]),
        ("<page size='2048' nodeset='1'/>", "x86_64", None, [None, 2048]),
        ("<page size='2048' nodeset='0'/><page size='2048' nodeset='1'/>", "x86_64", 2048, [2048, 2048]),
        ("<page size='4' unit='KiB'/>", "x86_64", None, [None, None]),
        ("<page size='64' unit='KiB'/>", "ppc64le", None, [None, None]),
        ("<page size='64' unit='KiB'/>", "aarch64", 64, [64, 64]),
    ],
)
def test_huge_pages(pages: str, arch: str, whole: int | None, nodes: list[int | None]) -> None:
    vm = vm_of(
        f"<memoryBacking><hugepages>{pages}</hugepages></memoryBacking><os><type arch='{arch}'>hvm</type></os>"
        "<cpu><numa><cell id='0' memory='1024'/><cell id='1' memory='1024'/></numa></cpu>"
    )
    assert vm.huge_page_kib == whole
    assert [node.page_kib for node in vm.virtual_nodes] == nodes


def test_iothreads_have_the_numbers_libvirt_gives_them() -> None:
    assert vm_of("<iothreads>3</iothreads>").iothread_ids == (1, 2, 3)
    ids = "<iothreadids><iothread id='2'/><iothread id='7'/></iothreadids>"
    assert vm_of(f"<iothreads>4</iothreads>{ids}").iothread_ids == (1, 2, 3, 7)
    assert vm_of(ids).iothreads == 2


def test_threads_pinned_to_all_cpus_of_the_host_are_not_pinned() -> None:
    xml = "<domain type='kvm'><vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='0-7'/>{}</cputune></domain>"
    read = read_vm(RECORD, xml.format("<emulatorpin cpuset='0-7'/>"), host="a", host_cpus=cpus("0-7"))
    assert read.pinning == CpuPinning()
    assert read.intent.cpu_pinning_policy is CpuPinningPolicy.NONE
    mixed = read_vm(RECORD, xml.format("<vcpupin vcpu='1' cpuset='3'/>"), host="a", host_cpus=cpus("0-7"))
    assert mixed.pinning.vcpus == ((1, cpus("3")),)
    assert mixed.intent.cpu_pinning_policy is CpuPinningPolicy.KEEP_SHAPE


def test_devices() -> None:
    vm = vm_of(
        "<devices>"
        "<disk type='volume' device='lun'><source pool='p' volume='v'><reservations managed='yes'/></source>"
        "<target dev='sda'/><shareable/></disk>"
        "<disk type='network'><source protocol='rbd' name='pool/image'/><target dev='vdb'/><readonly/></disk>"
        "<disk type='file' device='cdrom'/>"
        "<interface type='bridge'><source bridge='br0'/></interface>"
        "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>"
        "<interface type='hostdev'><source><address type='pci' domain='0x0000' bus='0x3b' slot='0x10' function='0x2'/>"
        "</source><teaming type='transient' persistent='ua-1'/></interface>"
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x46d'/><product id='0xc52b'/></source></hostdev>"
        "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='9'/></source></hostdev>"
        "<hostdev mode='subsystem' type='mdev'>"
        "<source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>"
        "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/>"
        "<address bus='0' target='1' unit='2'/></source></hostdev>"
        "<hostdev mode='subsystem' type='pci'><source><address bus='zz' slot='99999999999999999'/></source></hostdev>"
        "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>"
        "</devices>"
    )
    assert vm.devices.disks == (
        Disk("sda", "volume", "lun", "p/v", is_shareable=True, has_reservation=True),
        Disk("vdb", "network", "disk", "pool/image", is_readonly=True),
        Disk("", "file", "cdrom"),
    )
    assert vm.devices.nics == (Nic("bridge", "br0"), Nic("direct", "eth0"), Nic("hostdev", "0000:3b:10.2"))
    assert vm.devices.assigned == (
        AssignedDevice("pci", "0000:3b:10.2", is_migratable=True),
        AssignedDevice("usb", "046d:c52b", is_migratable=True),
        AssignedDevice("usb", "1.9", is_migratable=True),
        AssignedDevice("mdev", "c2177883-f1bb-47f0-914d-32a22e3a8804"),
        AssignedDevice("scsi", "scsi_host0:0:1:2"),
        AssignedDevice("pci", "0000:zz:999999999999.0"),
        AssignedDevice("tpm", "/dev/tpm0"),
    )
    assert not vm.devices.has_tpm_state
    assert not vm.devices.has_nvram


# --- derived intent ----------------------------------------------------------------

CELLS = "<vcpu>4</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='1'/><cell id='1' cpus='2-3' memory='1'/></numa></cpu>"
NODES = "<numatune><memnode cellid='1' mode='preferred' nodeset='3'/></numatune>"
PIN = "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>"


def test_an_unpinned_vm_may_go_anywhere() -> None:
    assert vm_of(CELLS).intent == VmIntent()
    emulator = vm_of("<cputune><emulatorpin cpuset='1'/></cputune>")
    assert emulator.intent == VmIntent()


def test_a_pinned_vm_keeps_its_shape_on_any_nodes() -> None:
    intent = vm_of(CELLS + NODES + PIN).intent
    assert intent == VmIntent(
        migration_mode=MigrationMode.MANUAL,
        cpu_pinning_policy=CpuPinningPolicy.KEEP_SHAPE,
        numa_pins=(NumaPin(1, (), NumaMode.PREFERRED),),
    )


def test_bound_memory_alone_is_meant_literally() -> None:
    intent = vm_of(CELLS + NODES).intent
    assert intent.cpu_pinning_policy is CpuPinningPolicy.NONE
    assert intent.numa_pins == (NumaPin(1, (3,), NumaMode.PREFERRED),)
    assert intent.migration_mode is MigrationMode.MANUAL
    tune = "<numatune><memory mode='interleave' nodeset='1-2'/></numatune>"
    assert vm_of(tune).intent.numa_pins == (NumaPin(0, (1, 2), NumaMode.INTERLEAVE),)
    assert vm_of(tune + PIN).intent.numa_pins == (NumaPin(0, (), NumaMode.INTERLEAVE),)
    # The whole memory of several virtual nodes: each of them may lie on any of the host nodes.
    assert vm_of(CELLS + tune).intent == VmIntent(migration_mode=MigrationMode.MANUAL)


def test_pass_through_cpu_is_migrated_by_hand() -> None:
    vm = vm_of("<cpu mode='host-passthrough'/>")
    assert vm.intent == VmIntent(migration_mode=MigrationMode.MANUAL)
    assert vm.is_pinned_or_high_performance


def test_stored_intent_wins_and_the_definitions_serves_where_the_live_xml_has_none() -> None:
    stored = VmIntent(optimized_for=OptimizedFor.HIGH_PERFORMANCE, priority=7, is_stored=True)
    live = with_intent(PINNED, stored)
    assert read_vm(RECORD, live, host="a").intent == stored
    assert read_vm(RECORD, PINNED, host="a", inactive_xml=live).intent == stored
    other = with_intent(PINNED, replace(stored, priority=8))
    assert read_vm(RECORD, live, host="a", inactive_xml=other).intent == stored
    assert not read_vm(RECORD, PINNED, host="a", inactive_xml=PINNED).intent.is_stored


# --- hostile documents -------------------------------------------------------------


@pytest.mark.parametrize(
    "inside",
    [
        "<vcpu>1000000000</vcpu>",
        "<vcpu>-1</vcpu>",
        "<vcpu>0</vcpu>",
        "<vcpu>many</vcpu>",
        "<vcpu/>",
        "<vcpu current='9'>4</vcpu>",
        "<vcpu cpuset='0-999999999'>4</vcpu>",
        "<memory>lots</memory>",
        "<memory>-5</memory>",
        "<memory unit='EiB'>1000000000</memory>",
        "<memory unit='furlong'>1</memory>",
        "<iothreads>1000000000</iothreads>",
        "<iothreadids><iothread/></iothreadids>",
        "<cputune><vcpupin vcpu='1000000000' cpuset='0'/></cputune>",
        "<cputune><vcpupin vcpu='0'/></cputune>",
        "<cputune><vcpupin vcpu='0' cpuset='^0'/></cputune>",
        "<cputune><vcpupin vcpu='0' cpuset='4294967295'/></cputune>",
        "<cputune><emulatorpin cpuset='a-b'/></cputune>",
        "<cputune><iothreadpin cpuset='1'/></cputune>",
        "<numatune><memory mode='firm' nodeset='0'/></numatune>",
        "<numatune><memory nodeset='1000000000'/></numatune>",
        "<numatune><memnode cellid='-1' nodeset='0'/></numatune>",
        "<cpu><topology sockets='1000000000'/></cpu>",
        "<cpu><topology cores='0'/></cpu>",
        "<cpu><numa><cell id='1000000000' memory='1'/></numa></cpu>",
        "<cpu><numa><cell id='0'/></numa></cpu>",
        "<cpu><numa><cell id='0' memory='1'/><cell id='0' memory='1'/></numa></cpu>",
        "<cpu><numa><cell cpus='0-1000000000' memory='1'/></numa></cpu>",
        "<memoryBacking><hugepages><page size='x'/></hugepages></memoryBacking>",
        "<memoryBacking><hugepages><page size='2' unit='MiB' nodeset='9999999'/></hugepages></memoryBacking>",
    ],
)
def test_numbers_that_cannot_be_meant_are_a_sentence(inside: str) -> None:
    with pytest.raises(InvalidXml) as refused:
        vm_of(inside)
    assert refused.value.sentence.startswith("The XML of VM vm-1 on host-a cannot be used: ")
    assert refused.value.sentence.endswith(".")
    assert refused.value.subject == "vm-1"
    assert len(refused.value.sentence) < 300


@pytest.mark.parametrize(
    "text", ["", "<domain", "<network/>", "<!DOCTYPE d><domain/>", "<domain>" * 400, "\0", "<a:b/>"]
)
def test_what_is_no_domain_is_a_sentence(text: str) -> None:
    with pytest.raises(InvalidXml, match="The XML of VM vm-1 on host-a cannot be used: "):
        read_vm(RECORD, text, host="host-a")


def test_4096_vcpus_are_read_quickly() -> None:
    pins = "".join(f"<vcpupin vcpu='{i}' cpuset='{i}'/>" for i in range(4096))
    start = time.process_time()
    vm = vm_of(f"<vcpu cpuset='0-4095'>4096</vcpu><cputune>{pins}</cputune>")
    assert time.process_time() - start < 0.5
    assert len(vm.pinning.vcpus) == 4096
    assert vm.pinning.all_vcpu_cpus == cpus("0-4095")


def test_no_elements_of_the_document_stay_in_memory() -> None:
    """A thousand VMs are kept as values: what they share is one object."""
    first, second = (read_vm(RECORD, PINNED, host="a") for _ in range(2))
    assert first == second
    assert first.pinning.vcpus[0][1] is second.pinning.vcpus[0][1]
    assert sys.getsizeof(first) < 400


# --- states ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "word", "why"),
    [
        (1, 1, VmState.RUNNING, "started"),
        (1, 2, VmState.RUNNING, "migrated here"),
        (2, 0, VmState.RUNNING, ""),
        (3, 2, VmState.PAUSED, "paused for a migration"),
        (3, 13, VmState.PAUSED, "post-copy migration failed"),
        (4, 1, VmState.SHUTTING_DOWN, "asked by a user"),
        (5, 4, VmState.SHUT_OFF, "migrated away"),
        (6, 1, VmState.CRASHED, "the guest's kernel panicked"),
        (7, 0, VmState.SUSPENDED, ""),
        (0, 0, VmState.UNKNOWN, ""),
        (99, 1, VmState.UNKNOWN, "reason 1"),
        (1, 77, VmState.RUNNING, "reason 77"),
        (1, -1, VmState.RUNNING, ""),
    ],
)
def test_states(state: int, reason: int, word: VmState, why: str) -> None:
    vm = read_vm(replace(RECORD, state=state, reason=reason), "<domain/>", host="a")
    assert (vm.state, vm.state_reason) == (word, why)


def test_every_state_and_reason_of_the_library_is_known() -> None:
    libvirt = pytest.importorskip("libvirt")
    families = {1: "RUNNING", 3: "PAUSED", 5: "SHUTOFF", 6: "CRASHED"}
    for state, family in families.items():
        assert getattr(libvirt, f"VIR_DOMAIN_{family}") == state
        for name, number in vars(libvirt).items():
            if name.startswith(f"VIR_DOMAIN_{family}_") and not name.endswith(("_UNKNOWN", "_LAST")):
                assert reason_of(state, number), name
                assert not reason_of(state, number).startswith("reason"), name
    assert state_of(libvirt.VIR_DOMAIN_PMSUSPENDED) is VmState.SUSPENDED
    assert is_held_by_migration(libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY)
    assert is_held_by_migration(libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY)
    assert not is_held_by_migration(libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)


def test_a_thousand_vms_are_read_in_well_under_a_second() -> None:
    texts = [text_of(path) for path in foreign_files("domain-xml")] or list(OWN.values())
    start = time.process_time()
    for i in range(1000):
        read_vm(RECORD, texts[i % len(texts)], host="a")
    assert time.process_time() - start < 0.6
