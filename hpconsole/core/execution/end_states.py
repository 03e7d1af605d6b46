"""Every way a migration can end, with a name and a sentence: where the VM is, what is left where, what to do.

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


class EndState(StrEnum):
    """Where the VM is, as far as the hosts can be asked."""

    ON_DESTINATION = "running on the destination"
    LEFT_OVER_ON_SOURCE = "running on the destination, with something left on the source"
    ON_SOURCE = "running on the source"
    LEFT_OVER_ON_DESTINATION = "running on the source, with something left on the destination"
    PAUSED_ON_SOURCE = "paused on the source"
    PAUSED_ON_DESTINATION = "paused on the destination"
    STILL_MIGRATING = "still migrating"
    NOWHERE = "running on neither host"
    TWICE = "running on both hosts"
    UNKNOWN = "unknown, because a host does not answer"

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


def judge(source: HostView, destination: HostView, *, was_paused: bool = False) -> EndState:
    """Name the state. `was_paused`: the user had paused the VM before, so that paused is as it should be."""
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


def describe(state: EndState, vm_name: str, source: HostView, destination: HostView) -> str:
    """Where the VM is now and what to do, in plain sentences."""
    here, there = source.host, destination.host
    match state:
        case EndState.ON_DESTINATION:
            return f"{vm_name} {_runs(destination)} on {there}; nothing of it is left on {here}."
        case EndState.LEFT_OVER_ON_SOURCE:
            left = "a stopped guest process" if source.is_active else "its definition"
            return f"{vm_name} {_runs(destination)} on {there}. {left.capitalize()} is left on {here}: remove it there."
        case EndState.ON_SOURCE:
            asked = "" if destination.is_reachable else f" {there} does not answer and could not be checked."
            return f"{vm_name} {_still_runs(source)} on {here}, unchanged.{asked}"
        case EndState.LEFT_OVER_ON_DESTINATION:
            left = "An incomplete guest" if destination.is_active else "A definition of it"
            return (
                f"{vm_name} {_still_runs(source)} on {here}, unchanged. "
                f"{left} is on {there}: remove it before the next attempt."
            )
        case EndState.PAUSED_ON_SOURCE:
            return f"{vm_name} is paused on {here}: resume it there. It does not run on {there}."
        case EndState.PAUSED_ON_DESTINATION:
            return (
                f"{vm_name} is paused on {there} and does not run on {here}. "
                f"Resume it on {there}, after looking at why it stopped."
            )
        case EndState.STILL_MIGRATING:
            meanwhile = "stays paused" if source.is_paused and not source.is_half else "runs"
            return f"{vm_name} is still being migrated from {here}, and {meanwhile} meanwhile."
        case EndState.NOWHERE:
            return f"{vm_name} runs neither on {here} nor on {there}: {_definitions(source, destination)}"
        case EndState.TWICE:
            return (
                f"{vm_name} runs on {here} and on {there} at once. Force off the one that must not run now, "
                "before its disks are damaged."
            )
        case EndState.UNKNOWN:
            return f"Where {vm_name} runs could not be proven: {_last_known(source, destination)}"


def _runs(view: HostView) -> str:
    return "is paused, as it was before," if view.is_paused else "runs"


def _still_runs(view: HostView) -> str:
    return "is still paused" if view.is_paused else "still runs"


def _definitions(source: HostView, destination: HostView) -> str:
    defined = [view.host for view in (source, destination) if view.record is not None]
    if not defined:
        return "neither knows it any more."
    return f"the guest ended; it is defined on {' and '.join(defined)}, where it can be started."


def _last_known(source: HostView, destination: HostView) -> str:
    silent = [view for view in (source, destination) if not view.is_reachable]
    known = [
        f"{view.host} {'has a guest process of it' if view.is_active else 'does not run it'}"
        for view in (source, destination)
        if view.is_reachable
    ]
    names = " and ".join(view.host for view in silent)
    first = f"{names} {'do' if len(silent) > 1 else 'does'} not answer"
    return f"{'; '.join([first, *known])}. The journal keeps it open; the next start of the console asks again."
