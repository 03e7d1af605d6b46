"""The lab does what it says: hosts as claimed, guests that migrate, faults that hurt and heal, nothing left behind."""

from __future__ import annotations

from tests.lab.lab import Lab

P2P = ("migrate", "--live", "--p2p", "--persistent", "--undefinesource")


def test_a_pinned_dirtying_guest_migrates_without_stopping(lab: Lab) -> None:
    guest = lab.guest("a", "busy", vcpus=4, cells=2, dirty_mib=64, pin=True)
    assert lab.qemu_processes() == {guest.uuid: ("a",)}
    before = lab.heartbeat("a", guest)

    lab.virsh("a", *P2P, guest.uuid, lab.host("b").uri)

    assert lab.qemu_processes() == {guest.uuid: ("b",)}
    assert lab.heartbeat("b", guest) > before
    assert lab.virsh("a", "list", "--all", "--name") == ""
    assert lab.virsh("b", "domstate", guest.uuid) == "running"
