"""When exactly is a migration in which phase, and how is it kept there while something breaks?

Watches the source's libvirt over its own socket (no cut cable is in the way) and the destination's processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import libvirt

from tests.lab.commands import LabError, wait_until
from tests.lab.lab import Lab

_STARTS_WITHIN_S = 60.0
_PAUSED = 3  # VIR_DOMAIN_PAUSED


class Phase(StrEnum):
    """How far the migration is when the fault strikes."""

    BEFORE = "before begin"  # planned and confirmed, nothing asked yet
    PREPARING = "preparing"  # the destination's QEMU exists and does not listen yet
    FIRST_PASS = "first pass"
    LATER_PASS = "later pass"
    SWITCH_OVER = "switch-over"  # the guest stands still on the source, its last memory is on its way
    FINISH = "finish"  # all memory has arrived; the destination has not let the guest run yet
    POST_COPY = "post-copy"  # the guest runs on the destination, part of its memory is still on the source


@dataclass(frozen=True, slots=True)
class Moment:
    """A phase that has been reached. `release`: let what was held go on."""

    phase: Phase
    release: Callable[[], None]


class Observer:
    """A host's libvirt, asked past the console and past the network."""

    def __init__(self, lab: Lab, host: str, uuid: str) -> None:
        """Connect to the host's libvirt."""
        socket = f"/proc/{lab.host(host).init_pid}/root/run/libvirt/libvirt-sock"
        self._connection = libvirt.openAuth(f"qemu+unix:///system?socket={socket}", [[], _give_nothing, None], 0)
        self.domain = self._connection.lookupByUUIDString(uuid)

    def passes(self) -> int:
        """The pass that is under way; 0 where none is."""
        try:
            stats = self.domain.jobStats(0)
        except libvirt.libvirtError:
            return 0
        if not int(stats.get("memory_processed", 0)):
            return 0
        return max(1, int(stats.get("memory_iteration", 1)))

    def is_all_sent(self) -> bool:
        """Whether nothing of its memory is left to send."""
        try:
            stats = self.domain.jobStats(0)
        except libvirt.libvirtError:
            return False
        return int(stats.get("memory_remaining", 1)) == 0

    def is_paused(self) -> bool:
        """Whether the guest stands still there."""
        try:
            return self.domain.info()[0] == _PAUSED
        except libvirt.libvirtError:
            return False

    def allow_pause(self, milliseconds: int) -> None:
        """Allow so long a switch-over."""
        self.domain.migrateSetMaxDowntime(milliseconds, 0)

    def start_post_copy(self) -> None:
        """Switch over now, and fetch the rest."""
        self.domain.migrateStartPostCopy(0)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def reach(lab: Lab, phase: Phase, uuid: str, observer: Observer, *, source: str, destination: str) -> Moment:
    """Wait for the phase, and hold it where it would be over in no time."""
    if phase is Phase.PREPARING:
        return _preparing(lab, uuid, destination)
    wanted = 1 if phase is Phase.FIRST_PASS else 2
    _soon(lambda: observer.passes() >= wanted, f"pass {wanted} did not begin")
    if phase in (Phase.FIRST_PASS, Phase.LATER_PASS):
        return Moment(phase, lambda: None)
    if phase is Phase.POST_COPY:
        observer.start_post_copy()
        there = Observer(lab, destination, uuid)
        try:
            _soon(lambda: not there.is_paused(), "the guest did not switch over")
        finally:
            there.close()
        return Moment(phase, lambda: None)
    observer.allow_pause(2500)
    _soon(observer.is_paused, "the switch-over did not begin")
    if phase is Phase.SWITCH_OVER:
        return Moment(phase, lambda: None)
    lab.fault.freeze_daemon(destination)
    _soon(observer.is_all_sent, "the memory did not arrive")
    return Moment(phase, lambda: _thaw(lab, destination))


def _preparing(lab: Lab, uuid: str, destination: str) -> Moment:
    host = lab.host(destination)
    _soon(lambda: uuid in host.qemu_processes(), "the destination's QEMU was not started")
    lab.fault.freeze_qemu(destination, uuid)
    return Moment(Phase.PREPARING, lambda: lab.fault.thaw_qemu(destination, uuid))


def _give_nothing(_credentials: object, _data: object) -> int:
    return -1


def _thaw(lab: Lab, host: str) -> None:
    if lab.host(host).is_up and lab.host(host).daemon_pid() is not None:
        lab.fault.thaw_daemon(host)


def _soon(condition: Callable[[], bool], complaint: str) -> None:
    wait_until(condition, within_s=_STARTS_WITHIN_S, complaint=complaint)


def pause(seconds: float) -> None:
    """Let a fault last: time itself is the fault here."""
    threading.Event().wait(seconds)


def within(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came to hold in this time."""
    deadline = time.monotonic() + seconds
    try:
        wait_until(condition, within_s=max(0.0, deadline - time.monotonic()), complaint="")
    except LabError:
        return False
    return True
