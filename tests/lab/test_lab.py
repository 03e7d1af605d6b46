"""The lab does what it says: hosts as claimed, URIs that answer, guests that migrate in every way."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt
import pytest

from tests.lab.commands import LabError
from tests.lab.fixtures import LabMaker
from tests.lab.lab import Lab

P2P = ("migrate", "--live", "--p2p", "--persistent", "--undefinesource")


@contextmanager
def connected(uri: str) -> Iterator[libvirt.virConnect]:
    """A connection by libvirt's own Python binding, without hpconsole."""
    connection = libvirt.openAuth(uri, [[], None, None])
    try:
        yield connection
    finally:
        connection.close()


def host_capabilities(uri: str) -> ET.Element:
    """`<host>` of what libvirt says of a host."""
    with connected(uri) as connection:
        host = ET.fromstring(connection.getCapabilities()).find("host")
    assert host is not None
    return host


def test_starts_beside_another(lab: Lab, make_lab: LabMaker) -> None:
    other = make_lab("a=2x1x8x2:65536:1024", "b=2x2x4x2:32768:512", "c=1x1x8x1:32768:0")
    assert other.network.slot != lab.network.slot
    with connected(lab.host("a").uri) as mine, connected(other.host("a").uri) as theirs:
        assert mine.getHostname() == theirs.getHostname() == "a"
    assert len({host_capabilities(some.host("a").uri).findtext("uuid") for some in (lab, other)}) == 2


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_hosts_have_the_topology_they_claim(lab: Lab, name: str) -> None:
    spec = lab.host(name).spec
    host = host_capabilities(lab.host(name).uri)
    cells = host.findall("topology/cells/cell")
    assert len(cells) == spec.nodes
    for node, cell in enumerate(cells):
        assert sorted(int(cpu.attrib["id"]) for cpu in cell.iter("cpu")) == spec.node_cpus(node)
        assert cell.findtext("memory") == str(spec.mib_per_node * 1024)
        pages = {int(pool.attrib["size"]): int(pool.text or 0) for pool in cell.findall("pages")}
        assert pages[2048] == spec.huge_2m_per_node
        distances = [int(sibling.attrib["value"]) for sibling in cell.iter("sibling")]
        assert distances == [spec.distance(node, other) for other in range(spec.nodes)]
        core = spec.node_cores(node)[0]
        cpu = next(cpu for cpu in cell.iter("cpu") if int(cpu.attrib["id"]) == core)
        assert cpu.attrib["siblings"].replace("-", ",").split(",") == [str(sibling) for sibling in spec.siblings(core)]
    assert len(host.findall("cache/bank")) == spec.nodes
    assert f"NUMA cell(s):        {spec.nodes}" in lab.virsh(name, "nodeinfo")
    assert lab.virsh(name, "freepages", "--all").count(f"2048KiB: {spec.huge_2m_per_node}") == spec.nodes


@pytest.mark.parametrize("kind", ["uri", "uri_ssh", "uri_tls"])
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_every_uri_answers(lab: Lab, name: str, kind: str) -> None:
    with connected(getattr(lab.host(name), kind)) as connection:
        assert connection.getHostname() == name
        assert bool(connection.isEncrypted()) is (kind == "uri_tls")


def test_tls_wants_the_consoles_certificate(lab: Lab) -> None:
    with pytest.raises(libvirt.libvirtError):
        libvirt.openAuth(f"qemu+tls://{lab.host('a').address}/system?pkipath={lab.folder}/authority", [[], None, None])


@pytest.mark.parametrize("address", ["qemu+tcp://{}/system", "qemu+tls://{}/system", "qemu+ssh://root@{}/system"])
def test_a_pinned_dirtying_guest_migrates_without_stopping(lab: Lab, address: str) -> None:
    guest = lab.guest("a", "busy", vcpus=4, cells=2, dirty_mib=64, pin=True, emulator_pin="0-7", iothread_pins={1: "3"})
    assert lab.qemu_processes() == {guest.uuid: ("a",)}
    assert lab.virsh("a", "vcpupin", "busy").split() == ["0", "0", "1", "1", "2", "8", "3", "9"]
    before = lab.heartbeat("a", guest)

    lab.virsh("a", *P2P, guest.uuid, address.format(lab.host("b").address))

    assert lab.qemu_processes() == {guest.uuid: ("b",)}
    assert lab.heartbeat("b", guest) > before
    assert lab.virsh("a", "list", "--all", "--name") == ""
    assert lab.virsh("b", "domstate", guest.uuid) == "running"


def test_guests_with_huge_pages_migrate(lab: Lab) -> None:
    guest = lab.guest("b", "huge", vcpus=4, cells=2, pin=True, huge_pages=2048)
    line = " ".join(lab.host("b").processes()[lab.host("b").qemu_processes()[guest.uuid]])
    assert "/run/hugepages-2048/" in line
    lab.virsh("b", *P2P, guest.uuid, "qemu+tcp://a/system")
    assert lab.qemu_processes() == {guest.uuid: ("a",)}


def test_guests_carry_metadata(lab: Lab) -> None:
    own = "<note xmlns='urn:test:note'>keep me</note>"
    lab.guest("c", "noted", metadata=own, start=False)
    lab.guest("c", "important", ha=True, start=False)
    assert "keep me" in lab.virsh("c", "metadata", "noted", "urn:test:note")
    assert "high-availability" in lab.virsh("c", "metadata", "important", "urn:hpconsole:vm:1")
    assert lab.qemu_processes() == {}


def test_hosts_that_do_not_know_each_others_names(make_lab: LabMaker) -> None:
    lab = make_lab("a=1x1x2x1", "b=1x1x2x1", resolves_names=False)
    guest = lab.guest("a", "plain", dirty_mib=0)
    destination = lab.host("b")
    with pytest.raises(LabError, match="Unable to resolve address 'b'"):
        lab.virsh("a", *P2P, guest.uuid, destination.uri)
    assert lab.qemu_processes() == {guest.uuid: ("a",)}
    lab.virsh("a", *P2P, guest.uuid, destination.uri, f"tcp://{destination.address}")
    assert lab.qemu_processes() == {guest.uuid: ("b",)}


def test_clear_makes_it_as_new(lab: Lab) -> None:
    lab.guest("a", "one", dirty_mib=0)
    lab.guest("b", "two", start=False)
    lab.fault.freeze_daemon("a")
    lab.fault.cut("b")
    lab.fault.crash("c")
    lab.clear()
    assert [lab.virsh(host.name, "list", "--all", "--name") for host in lab.hosts] == ["", "", ""]
    assert [host.is_reachable() for host in lab.hosts] == [True, True, True]
    assert lab.qemu_processes() == {}
