"""Every way a migration can end, in plain sentences: where the VM is, what is left where, what to do. Pure."""

from __future__ import annotations

import re

from hpconsole.core.errors import ConnectionLost, HypervisorError, OperationRefused
from hpconsole.core.execution.end_states import EndState, HostView

# What libvirt says, as a pattern, and what it means. The source's libvirt passes on what the destination's says, so
# that "host a refused" would name the wrong one.
_MEANINGS = (
    (r"Cannot allocate memory|[Oo]ut of memory|cannot set up guest memory", "{there} has no memory left for it."),
    (r"No space left on device|[Dd]isk quota", "the disk of {there} is full."),
    (r"[Ff]ailed to write|[Cc]annot write data", "{there} cannot write to its disk: it is full, or broken."),
    (
        r"doesn't match specification|missing features|CPU .*(incompatible|not compatible)",
        "{there} cannot give it the CPU it has.",
    ),
    (
        r"client socket is closed|[Ee]nd of file while reading|[Cc]onnection reset|keepalive",
        "the connection between {here} and {there} broke.",
    ),
    (r"Lost connection to destination", "the connection to its process on {there} broke."),
    (r"unexpectedly closed the monitor|process exited while connecting", "its process on {there} ended."),
    (r"domain( '.*')? is not running", "its process on {here} or {there} ended."),
    (r"unable to connect to server at|[Nn]o route to host|[Cc]onnection refused", "{here} cannot reach {there}."),
    (
        r"another migration job|already active|not being migrated|is being migrated|another job",
        "somebody else is moving it.",
    ),
)


def why_it_failed(error: HypervisorError, here: str, there: str) -> str:
    """What libvirt's answer to the migration from `here` to `there` means, in words that end a sentence."""
    if isinstance(error, ConnectionLost):
        return f"the connection to host {error.subject} broke." if error.subject else error.sentence
    if isinstance(error, OperationRefused):
        for pattern, meaning in _MEANINGS:
            if re.search(pattern, error.detail):
                return meaning.format(here=here, there=there)
        if error.detail:
            return f"libvirt said: {error.detail}."
    return error.sentence


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
            is_still = source.is_paused and not source.is_half and not source.is_in_post_copy
            meanwhile = "stays paused" if is_still else "runs"
            return f"{vm_name} is still being migrated from {here}, and {meanwhile} meanwhile."
        case EndState.NOWHERE:
            return f"{vm_name} runs neither on {here} nor on {there}: {_definitions(source, destination)}"
        case EndState.TWICE:
            return (
                f"{vm_name} runs on {here} and on {there} at once. Force off the one that must not run now, "
                "before its disks are damaged."
            )
        case EndState.ELSEWHERE:
            return f"{vm_name} runs neither on {here} nor on {there}, but on another host."
        case EndState.BROKEN_POST_COPY | EndState.LOST_POST_COPY:
            return _half_there(state, vm_name, source, destination)
        case EndState.UNKNOWN:
            return f"Where {vm_name} runs could not be proven: {_last_known(source, destination)}"


def _half_there(state: EndState, vm_name: str, source: HostView, destination: HostView) -> str:
    here, there = source.host, destination.host
    if state is EndState.BROKEN_POST_COPY:
        return (
            f"{vm_name} stands still on {there}: the link broke after the switch-over, and part of its memory is still "
            f"on {here}. Nothing is lost. Recover it once the hosts reach each other, and end neither of the two."
        )
    rest, lost = (there, here) if destination.is_active else (here, there)
    return (
        f"{vm_name} cannot go on: part of its memory was lost with its process on {lost}. What is left of it on {rest} "
        "is of no use: end it and start it anew (Recover does both)."
    )


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
    return f"{'; '.join([first, *known])}. It is asked again as soon as the hosts answer."
