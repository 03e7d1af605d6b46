"""What the hosts themselves say of a guest (virsh and /proc), so that hpconsole never testifies for itself."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from tests.lab.commands import wait_until
from tests.lab.guests import Guest
from tests.lab.lab import Lab
from tests.lab.topology import HostSpec


def vcpu_pins(lab: Lab, host: str, guest: Guest, where: str) -> dict[int, str]:
    """`virsh vcpupin`: vCPU -> CPU list. `where`: --live or --config."""
    rows = re.findall(r"^\s*(\d+)\s+(\S+)", lab.virsh(host, "vcpupin", guest.uuid, where), re.MULTILINE)
    return {int(vcpu): cpus for vcpu, cpus in rows}


def memory_nodes(lab: Lab, host: str, guest: Guest, *, inactive: bool) -> dict[int, tuple[str, str]]:
    """Virtual node -> (mode, host nodes) as the host's libvirt has it (`virsh numatune` tells nothing of <memnode>)."""
    xml = lab.virsh(host, "dumpxml", guest.uuid, *(("--inactive",) if inactive else ()))
    nodes = ElementTree.fromstring(xml).findall("./numatune/memnode")
    return {int(node.get("cellid", "")): (node.get("mode", ""), node.get("nodeset", "")) for node in nodes}


def node_of_cpu(spec: HostSpec) -> dict[int, int]:
    """The NUMA node of each CPU the host has."""
    return {cpu: node for node in range(spec.nodes) for cpu in spec.node_cpus(node)}


def check_is_on(lab: Lab, host: str, guest: Guest, *, not_on: str) -> None:
    """It runs there once, is defined there, and nothing is left where it was."""
    assert lab.qemu_processes()[guest.uuid] == (host,)
    assert lab.virsh(host, "domstate", guest.uuid).strip() == "running"
    assert guest.name in lab.virsh(host, "list", "--all", "--persistent", "--name").split()
    assert guest.name not in lab.virsh(not_on, "list", "--all", "--name").split()
    assert not is_marked(lab, host, guest)


def is_marked(lab: Lab, host: str, guest: Guest) -> bool:
    """Whether it still says, running or defined, that its emulator threads are on lent CPUs."""
    xmls = [lab.virsh(host, "dumpxml", guest.uuid, *more, check=False) for more in ((), ("--inactive",))]
    return any("urn:hpconsole:lent" in xml for xml in xmls)


def check_is_pinned(lab: Lab, host: str, guest: Guest, *, cells: dict[int, int]) -> None:
    """The map fits the host's own topology: one CPU of its own for each vCPU, on the node its memory is bound to
    strictly; the running guest and the definition say the same. `cells`: vCPU -> virtual node.
    """
    live = vcpu_pins(lab, host, guest, "--live")
    assert live == vcpu_pins(lab, host, guest, "--config"), "the definition is pinned as the guest is"
    assert sorted(live) == sorted(cells)
    assert all(re.fullmatch(r"\d+", cpus) for cpus in live.values()), f"one CPU for each vCPU: {live}"
    assert len(set(live.values())) == len(live), f"a CPU of its own for each vCPU: {live}"
    nodes = memory_nodes(lab, host, guest, inactive=False)
    assert nodes == memory_nodes(lab, host, guest, inactive=True), "the definition's memory is bound as the guest's is"
    assert {mode for mode, _ in nodes.values()} == {"strict"}
    assert "strict" in lab.virsh(host, "numatune", guest.uuid, "--live")
    home = node_of_cpu(lab.host(host).spec)
    for vcpu, cpu in live.items():
        assert int(cpu) in home, f"{host} has no CPU {cpu}"
        assert str(home[int(cpu)]) == nodes[cells[vcpu]][1], f"vCPU {vcpu} is on CPU {cpu}, far from its memory"


def check_goes_on(lab: Lab, host: str, guest: Guest, *, since: int) -> None:
    """The guest was never booted anew (its count of ticks goes on from `since`), and does not stand still."""
    first = lab.heartbeat(host, guest)
    assert first > since, "the guest was booted anew"
    wait_until(lambda: lab.heartbeat(host, guest) > first, within_s=10, complaint=f"the guest stands still on {host}")


def is_sending(lab: Lab, host: str, guest: Guest) -> bool:
    """Whether the host's libvirt has a migration of this guest under way that has sent something."""
    told = lab.virsh(host, "domjobinfo", guest.uuid, check=False)
    processed = re.search(r"Memory processed:\s+([\d.]+)", told)
    return "Unbounded" in told and processed is not None and float(processed[1]) > 0
