"""Each fault of the lab does what it says, and heals."""

from __future__ import annotations

import time

import pytest

from tests.lab.commands import LabError, wait_until
from tests.lab.lab import Lab
from tests.lab.test_lab import P2P


def seconds_to_send(lab: Lab, source: str, destination: str, kib: int) -> float:
    """How long this much takes from one host to another."""
    began = time.monotonic()
    command = f"head -c {kib}k /dev/zero | ssh root@{lab.host(destination).address} 'cat > /dev/null'"
    lab.host(source).run("sh", "-c", command)
    return time.monotonic() - began


def test_cut_takes_the_network_and_leaves_the_guests(lab: Lab) -> None:
    guest = lab.guest("b", "lonely", dirty_mib=0)
    lab.fault.cut("b")
    assert not lab.host("b").is_reachable()
    assert lab.host("a").is_reachable()
    assert lab.virsh("b", "domstate", guest.uuid) == "running"
    lab.fault.heal("b")
    wait_until(lab.host("b").is_reachable, within_s=10, complaint="b stays cut")


@pytest.mark.parametrize(("source", "destination"), [("a", "b"), ("b", "a")])
def test_shape_limits_both_ways(lab: Lab, source: str, destination: str) -> None:
    lab.fault.shape("b", "4mbit")
    limited_s = seconds_to_send(lab, source, destination, 1500)
    assert limited_s > 2
    lab.fault.heal("b")
    assert seconds_to_send(lab, source, destination, 1500) < limited_s / 2


def test_a_migration_over_a_shaped_link_can_be_watched_and_cancelled(lab: Lab) -> None:
    guest = lab.guest("a", "busy", dirty_mib=64, dirty_mib_s=40)
    wait_until(lambda: lab.heartbeat("a", guest) > 40, within_s=30, complaint="the guest does not run")
    lab.fault.shape("a", "50mbit")
    lab.host("a").run(
        "sh", "-c", f"virsh -c qemu:///system {' '.join(P2P)} busy {lab.host('b').uri} > /dev/null 2>&1 &"
    )
    wait_until(
        lambda: "Memory bandwidth" in lab.virsh("a", "domjobinfo", "busy"), within_s=20, complaint="no migration runs"
    )
    assert set(lab.qemu_processes()[guest.uuid]) == {"a", "b"}
    lab.virsh("a", "domjobabort", "busy")
    wait_until(
        lambda: lab.qemu_processes() == {guest.uuid: ("a",)}, within_s=20, complaint="the migration was not undone"
    )


def test_a_dead_daemon_comes_back_to_its_guests(lab: Lab) -> None:
    guest = lab.guest("b", "steady", dirty_mib=0)
    lab.fault.kill_daemon("b")
    assert not lab.host("b").is_reachable()
    assert lab.host("b").daemon_pid() is None
    assert lab.qemu_processes() == {guest.uuid: ("b",)}
    lab.fault.start_daemon("b")
    assert lab.virsh("b", "domstate", guest.uuid) == "running"


def test_a_frozen_daemon_accepts_and_says_nothing(lab: Lab) -> None:
    lab.fault.freeze_daemon("b")
    assert lab.host("b").is_reachable()
    with pytest.raises(LabError, match="did not end within 1 s"):
        lab.virsh("b", "list", timeout_s=1)
    lab.fault.thaw_daemon("b")
    assert lab.host("b").answers()


def test_a_crashed_host_boots_with_its_definitions(lab: Lab) -> None:
    guest = lab.guest("b", "lost", dirty_mib=0)
    lab.fault.crash("b")
    assert not lab.host("b").is_up
    assert lab.qemu_processes() == {}
    lab.fault.boot("b")
    assert lab.host("b").is_reachable()
    assert lab.virsh("b", "domstate", guest.uuid) == "shut off"


def test_a_killed_qemu_is_a_crashed_guest(lab: Lab) -> None:
    guest = lab.guest("c", "victim", dirty_mib=0)
    lab.fault.kill_qemu("c", "victim")
    assert lab.qemu_processes() == {}
    wait_until(
        lambda: lab.virsh("c", "domstate", guest.uuid, "--reason") == "shut off (crashed)",
        within_s=10,
        complaint="libvirt does not say that the guest crashed",
    )


def test_blocked_management_leaves_the_client_managed_way(lab: Lab) -> None:
    guest = lab.guest("a", "walled", dirty_mib=0)
    a, b = lab.host("a"), lab.host("b")
    lab.fault.block_management("a", "b")
    with pytest.raises(LabError, match="unable to connect to server"):
        lab.virsh("a", *P2P, guest.uuid, b.uri)
    client_managed = [word for word in P2P if word != "--p2p"]
    lab.host("c").run("virsh", "-c", a.uri, *client_managed, guest.uuid, b.uri)
    assert lab.qemu_processes() == {guest.uuid: ("b",)}
    lab.fault.heal("a")
    assert "b" in a.run("virsh", "-c", b.uri, "hostname").stdout
