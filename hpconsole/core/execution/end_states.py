"""Every way a migration can end, with a name, and what can be done about it (`end_sentences` says it to people).

Pure: judges what both hosts were seen to have (`HostView`), whatever libvirt said before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.hypervisor.port import DomainRecord

# VIR_DOMAIN_* states and reasons of a paused domain.
_RUNNING, _BLOCKED, _PAUSED, _SHUTTING_DOWN, _PM_SUSPENDED = 1, 2, 3, 4, 7
_ACTIVE = (_RUNNING, _BLOCKED, _PAUSED, _SHUTTING_DOWN, _PM_SUSPENDED)
_PAUSED_FOR_MIGRATION, _PAUSED_STARTING_UP = 2, 11
# What libvirt calls a guest whose memory is on both hosts: (state, reason)
_IN_POST_COPY = ((_RUNNING, 10), (_PAUSED, 12))
_POST_COPY_FAILED = ((_RUNNING, 11), (_PAUSED, 13))


class EndAction(StrEnum):
    """What a user can have done about an end (`repairs` does it)."""

    RECOVER = "recover"  # let it go on where its memory is
    CLEAN_UP = "clean up"  # remove what provably is not the live guest
    ASK_AGAIN = "ask again"


class EndState(StrEnum):
    """Where the VM is, as far as the hosts can be asked."""

    ON_DESTINATION = "running on the destination"
    LEFT_OVER_ON_SOURCE = "running on the destination, with something left on the source"
    ON_SOURCE = "running on the source"
    LEFT_OVER_ON_DESTINATION = "running on the source, with something left on the destination"
    PAUSED_ON_SOURCE = "paused on the source"
    PAUSED_ON_DESTINATION = "paused on the destination"
    STILL_MIGRATING = "still migrating"
    BROKEN_POST_COPY = "standing still after a broken post-copy"
    LOST_POST_COPY = "without part of its memory after a broken post-copy"
    NOWHERE = "running on neither host"
    ELSEWHERE = "running on another host by now"
    TWICE = "running on both hosts"
    UNKNOWN = "unknown, because a host does not answer"

    @property
    def actions(self) -> tuple[EndAction, ...]:
        """What can be done about it, the most useful first."""
        return _ACTIONS.get(self, ())

    @property
    def is_final(self) -> bool:
        """Whether asking again later can bring nothing new."""
        return self not in (EndState.STILL_MIGRATING, EndState.UNKNOWN)

    @property
    def is_moved(self) -> bool:
        """Whether the VM runs where it was meant to go."""
        return self in (EndState.ON_DESTINATION, EndState.LEFT_OVER_ON_SOURCE)

    @property
    def is_as_before(self) -> bool:
        """Whether the VM runs on the source, so that another host may be tried."""
        return self in (EndState.ON_SOURCE, EndState.LEFT_OVER_ON_DESTINATION)


_ACTIONS = {
    EndState.LEFT_OVER_ON_SOURCE: (EndAction.CLEAN_UP,),
    EndState.LEFT_OVER_ON_DESTINATION: (EndAction.CLEAN_UP,),
    EndState.PAUSED_ON_SOURCE: (EndAction.RECOVER, EndAction.ASK_AGAIN),
    EndState.PAUSED_ON_DESTINATION: (EndAction.RECOVER, EndAction.ASK_AGAIN),
    EndState.BROKEN_POST_COPY: (EndAction.RECOVER, EndAction.ASK_AGAIN),
    EndState.LOST_POST_COPY: (EndAction.RECOVER, EndAction.ASK_AGAIN),
    EndState.NOWHERE: (EndAction.RECOVER, EndAction.ASK_AGAIN),
    EndState.TWICE: (EndAction.ASK_AGAIN,),
    EndState.STILL_MIGRATING: (EndAction.ASK_AGAIN,),
    EndState.UNKNOWN: (EndAction.ASK_AGAIN,),
}


@dataclass(frozen=True, slots=True)
class HostView:
    """What one host has of one VM. `record` None = nothing, if `is_reachable`."""

    host: str
    is_reachable: bool = True
    problem: str = ""
    record: DomainRecord | None = None
    live_xml: str | None = None
    definition_xml: str | None = None
    has_job: bool = False  # a job is under way there

    @property
    def is_active(self) -> bool:
        """Whether it has a QEMU process there."""
        return self.record is not None and self.record.state in _ACTIVE

    @property
    def is_paused(self) -> bool:
        """Whether the process exists and its vCPUs stand still."""
        return self.record is not None and self.record.state == _PAUSED

    @property
    def is_half(self) -> bool:
        """Whether it is an incoming guest that never ran there."""
        return (
            self.record is not None
            and self.record.state == _PAUSED
            and self.record.reason in (_PAUSED_FOR_MIGRATION, _PAUSED_STARTING_UP)
        )

    @property
    def is_in_post_copy(self) -> bool:
        """Whether part of its memory is on the other host."""
        return self.is_broken or (self.record is not None and (self.record.state, self.record.reason) in _IN_POST_COPY)

    @property
    def is_broken(self) -> bool:
        """Whether libvirt says that its post-copy failed."""
        return self.record is not None and (self.record.state, self.record.reason) in _POST_COPY_FAILED


def judge(source: HostView, destination: HostView, *, was_paused: bool = False) -> EndState:
    """Name the state. `was_paused`: the user had paused the VM before, so that paused is as it should be."""
    if destination.is_broken or source.is_broken:
        return _broken(source, destination)
    if destination.is_in_post_copy and not destination.is_paused and source.is_reachable and not source.is_active:
        return EndState.LOST_POST_COPY  # the rest of its memory went with the source's process; QEMU notices late
    if source.is_active and source.has_job:
        return EndState.STILL_MIGRATING
    runs_there = destination.is_active and not destination.is_half and (was_paused or not destination.is_paused)
    runs_here = source.is_active and (was_paused or not source.is_paused)
    if not source.is_reachable or (not destination.is_reachable and not runs_here):
        return EndState.UNKNOWN
    if runs_here and runs_there:
        return EndState.TWICE
    if runs_there:
        return EndState.ON_DESTINATION if source.record is None else EndState.LEFT_OVER_ON_SOURCE
    if runs_here:
        return EndState.ON_SOURCE if destination.record is None else EndState.LEFT_OVER_ON_DESTINATION
    if destination.is_active and not destination.is_half:
        return EndState.PAUSED_ON_DESTINATION
    if source.is_active:
        return EndState.PAUSED_ON_SOURCE
    return EndState.PAUSED_ON_DESTINATION if destination.is_active else EndState.NOWHERE


def _broken(source: HostView, destination: HostView) -> EndState:
    """A post-copy failed: each of the two has what the other lacks."""
    if not source.is_reachable or not destination.is_reachable:
        return EndState.UNKNOWN
    both = source.is_active and destination.is_active
    return EndState.BROKEN_POST_COPY if both else EndState.LOST_POST_COPY
