"""Libvirt's answers about a host, as values."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hpconsole.core.errors import InvalidXml
from hpconsole.core.hypervisor.port import HostSample
from hpconsole.core.model.host import HostDevices, HostUsage, MediatedDeviceType, PciDevice
from hpconsole.core.reading import Counters, cpu_pct, read_counters, read_devices, read_facts, read_loads, read_usage
from tests.builders import NOW
from tests.core.fake_hypervisor import GIB, FakeHypervisor, uuid_of

PCI = """<device><name>pci_0000_3b_00_1</name><capability type='pci'><domain>0</domain><bus>59</bus><slot>0</slot>
<function>1</function><product id='0x1'>Card</product><numa node='1'/>
<capability type='mdev_types'><type id='nvidia-11'><availableInstances>{count}</availableInstances></type></capability>
</capability></device>"""


def test_facts() -> None:
    host = read_facts("a", "qemu+ssh://a/system", FakeHypervisor().facts())
    assert (host.name, host.uri, host.hostname) == ("a", "qemu+ssh://a/system", "a.example")
    assert (host.libvirt_version, host.hypervisor_version) == (9_000_000, 8_000_000)
    assert [node.node_id for node in host.topology.nodes] == [0, 2]
    assert host.memory_kib == 16 * GIB
    assert host.cpu.arch == "x86_64"
    assert host.devices.has_device_passthrough


def test_hosts_of_one_model_share_their_topology() -> None:
    one, other = (read_facts(name, "", FakeHypervisor(f"qemu+ssh://{name}/system").facts()) for name in "ab")
    assert one.topology is other.topology


def test_capabilities_that_cannot_be_read_are_an_error() -> None:
    hypervisor = FakeHypervisor()
    hypervisor.capabilities = "<capabilities>"
    with pytest.raises(InvalidXml):
        read_facts("a", "", hypervisor.facts())


def test_usage_adds_what_a_guest_could_get() -> None:
    host = read_facts("a", "", FakeHypervisor().facts())
    usage = read_usage(FakeHypervisor().sample(), NOW, host.topology, 5.0, before=HostUsage(), overloaded_pct=80)
    assert usage.memory_free_kib == 10 * GIB  # free, buffers and cache
    assert usage.at == NOW
    assert [node.node_id for node in usage.nodes] == [0, 2]
    node = usage.node(0)
    assert node is not None
    assert node.free_kib == 4 * GIB
    assert node.free_pages == ((2048, 100),)
    assert node.total_pages == ((2048, 512),)


@pytest.mark.parametrize(("load", "is_overloaded"), [(79.9, False), (80.0, True), (None, False)])
def test_overloaded_from_the_threshold_on(load: float | None, is_overloaded: bool) -> None:
    usage = _usage(load, HostUsage())
    assert (usage.overloaded_since is not None) is is_overloaded


def test_overloaded_since_the_first_poll_that_was() -> None:
    first = _usage(90.0, HostUsage())
    second = _usage(95.0, first, later_s=60)
    assert second.overloaded_since == NOW
    assert _usage(10.0, second, later_s=61).overloaded_since is None


def _usage(load: float | None, before: HostUsage, later_s: float = 0) -> HostUsage:
    host = read_facts("a", "", FakeHypervisor().facts())
    at = NOW + timedelta(seconds=later_s)
    return read_usage(FakeHypervisor().sample(), at, host.topology, load, before=before, overloaded_pct=80)


def _sample(user: int, idle: int, vm_ns: int | None = None) -> HostSample:
    hypervisor = FakeHypervisor()
    hypervisor.cpu_time_ns = {"user": user, "kernel": 0, "idle": idle, "iowait": 0}
    hypervisor.run("vm")
    if vm_ns is not None:
        hypervisor.vm_time_ns["vm"] = vm_ns
    return hypervisor.sample()


def test_host_load_from_two_samples() -> None:
    before, now = read_counters(_sample(100, 100), 0), read_counters(_sample(130, 170), 1)
    assert cpu_pct(before, now) == 30.0
    assert cpu_pct(None, now) is None
    assert cpu_pct(now, now) is None  # nothing passed
    assert cpu_pct(now, before) is None  # the host was restarted


def test_iowait_is_not_load() -> None:
    hypervisor = FakeHypervisor()
    hypervisor.cpu_time_ns = {"user": 10, "kernel": 10, "idle": 40, "iowait": 40}
    assert cpu_pct(Counters(), read_counters(hypervisor.sample(), 1)) == 20.0


def test_vm_load_is_percent_of_one_cpu() -> None:
    before, sample = read_counters(_sample(0, 1, vm_ns=1_000_000_000), 10), _sample(0, 2, vm_ns=5_000_000_000)
    loads = read_loads(sample, NOW, before, read_counters(sample, 12))
    load = loads[uuid_of("vm")]
    assert load.cpu_pct == pytest.approx(200.0)  # four seconds of CPU in two
    assert load.memory_rss_kib == GIB
    assert load.at == NOW


def test_no_load_without_two_rising_counters() -> None:
    first, sample = read_counters(_sample(0, 1), 10), _sample(0, 2, vm_ns=5)
    now = read_counters(sample, 12)
    assert read_loads(sample, NOW, None, now) == {}
    assert read_loads(sample, NOW, first, now) == {}  # no counter before
    restarted = read_counters(_sample(0, 1, vm_ns=100), 10)
    assert read_loads(sample, NOW, restarted, now) == {}
    assert read_loads(sample, NOW, now, now) == {}  # no time passed


def test_devices() -> None:
    devices = read_devices(
        {
            "network": [
                "<network><name>prod</name><bridge name='br-prod'/></network>",
                "<network><name>n</name></network>",
            ],
            "pool": ["<pool><name>images</name></pool>"],
            "interface": ["<interface type='bridge' name='br0'/>", "<interface type='ethernet' name='eth0'/>"],
            "nodedev": [PCI.format(count=3), "<device><name>net</name><capability type='net'/></device>"],
        },
        has_device_passthrough=True,
    )
    assert devices.networks == {"prod", "n"}
    assert devices.bridges == {"br-prod", "br0"}
    assert devices.storage_pools == {"images"}
    assert devices.pci == (PciDevice("0000:3b:00.1", 1, "Card"),)
    assert devices.mediated == (MediatedDeviceType("nvidia-11", 3),)
    assert devices.has_device_passthrough


def test_mediated_devices_of_several_cards_add_up() -> None:
    xml = {"nodedev": [PCI.format(count=3), PCI.format(count=4), PCI.format(count="many")]}
    assert read_devices(xml, has_device_passthrough=False).mediated == (MediatedDeviceType("nvidia-11", 7),)


@pytest.mark.parametrize(
    "hostile",
    [
        "<network",
        "",
        "<!DOCTYPE x [<!ENTITY e 'x'>]><network><name>&e;</name></network>",
        "<network><name/></network>",
        "<device><capability type='pci'><domain>0x</domain></capability></device>",
        "<device><capability type='pci'/></device>",
    ],
)
def test_devices_that_cannot_be_read_are_left_out(hostile: str) -> None:
    xml = {kind: [hostile] for kind in ("network", "pool", "interface", "nodedev")}
    devices = read_devices(xml, has_device_passthrough=False)
    assert devices == HostDevices()
