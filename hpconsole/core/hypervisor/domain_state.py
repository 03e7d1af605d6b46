"""What do libvirt's VIR_DOMAIN_* state and reason numbers mean, in the words the window shows?

The numbers are written out so that reading states needs no libvirt; a test compares them with the library's.
"""

from __future__ import annotations

from collections.abc import Mapping

from hpconsole.core.model.vm import VmState

_STATES: Mapping[int, VmState] = {
    0: VmState.UNKNOWN,  # NOSTATE
    1: VmState.RUNNING,
    2: VmState.RUNNING,  # BLOCKED: Xen's word for a guest that waits
    3: VmState.PAUSED,
    4: VmState.SHUTTING_DOWN,
    5: VmState.SHUT_OFF,
    6: VmState.CRASHED,
    7: VmState.SUSPENDED,  # PMSUSPENDED
}

# Reason 0 is "unknown" in every state. A reason that a newer libvirt invents is shown as its number.
_REASONS: Mapping[int, tuple[str, ...]] = {
    1: (
        "",
        "started",
        "migrated here",
        "restored from a saved state",
        "restored from a snapshot",
        "resumed",
        "a migration was cancelled",
        "saving was cancelled",
        "woken up",
        "the guest crashed and goes on",
        "post-copy migration under way",
        "post-copy migration failed",
    ),
    3: (
        "",
        "paused by a user",
        "paused for a migration",
        "being saved",
        "memory being dumped",
        "a disk error",
        "a watchdog event",
        "restored paused from a snapshot",
        "shutting down",
        "a snapshot is being made",
        "the guest crashed",
        "starting",
        "post-copy migration under way",
        "post-copy migration failed",
        "an error of the hypervisor",
    ),
    4: ("", "asked by a user"),
    5: (
        "",
        "shut down",
        "forced off",
        "crashed",
        "migrated away",
        "saved",
        "failed to start",
        "restored shut off from a snapshot",
        "the host's daemon decided so",
    ),
    6: ("", "the guest's kernel panicked"),
}

# (state, reason) in which a migration holds the VM: paused for it, or post-copy on either side.
_MIGRATING = frozenset({(1, 10), (1, 11), (3, 2), (3, 12), (3, 13)})


def state_of(state: int) -> VmState:
    """The state; UNKNOWN for a number that is not known."""
    return _STATES.get(state, VmState.UNKNOWN)


def reason_of(state: int, reason: int) -> str:
    """Why it is in this state, a few words; empty where libvirt does not say."""
    reasons = _REASONS.get(state, ("",))
    if 0 <= reason < len(reasons):
        return reasons[reason]
    return f"reason {reason}" if reason > 0 else ""


def is_held_by_migration(state: int, reason: int) -> bool:
    """Whether the state itself tells of a migration (a running pre-copy migration does not show in it)."""
    return (state, reason) in _MIGRATING
