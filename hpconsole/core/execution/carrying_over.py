"""What libvirt leaves undone when a VM has moved: autostart, a definition it could not write, one left at the source.

Done only where it is provably safe: the VM was seen to run on its destination, and the source has no process of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from hpconsole.core.errors import HpconsoleError
from hpconsole.core.execution.end_states import EndState, HostView, judge
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.execution.verification import look
from hpconsole.core.hypervisor.domain_xml import with_placement
from hpconsole.core.hypervisor.lent_mark import with_mark
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.planning.plan import Step

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def tidy(
    pool: ConnectionPool, step: Step, known: KnownBefore, views: tuple[HostView, HostView], deadline_s: float
) -> tuple[HostView, str]:
    """Remove what a failed migration left on the destination, where nothing was before and the source runs the VM.

    Returns:
        What the destination has then, and what could not be done, in a sentence.
    """
    source, left = views
    is_ours = known.was_destination_clean and left.record is not None and not left.is_in_post_copy
    is_safe = source.is_active and not source.is_half and (left.is_half or not left.is_active)
    if not (is_ours and is_safe):
        return left, ""
    there = step.destination
    if look(pool, step.source, step.vm_uuid, deadline_s=deadline_s).has_job:
        return left, ""  # somebody migrates it again meanwhile: what is there is theirs
    try:
        if left.is_active:
            pool.call(there, lambda host: host.force_off(step.vm_uuid), deadline_s=deadline_s)
        if left.record is not None and left.record.is_persistent:
            pool.call(there, lambda host: host.undefine(step.vm_uuid), deadline_s=deadline_s)
    except HpconsoleError as error:
        return left, f"What is left of it on {there} could not be removed: {error.sentence}"
    return look(pool, there, step.vm_uuid, deadline_s=deadline_s), ""


def resume_at_home(
    pool: ConnectionPool, step: Step, known: KnownBefore, views: tuple[HostView, HostView], deadline_s: float
) -> HostView:
    """Let a guest go on that a migration left standing on its source, where it provably never ran on the destination.

    Libvirt leaves it so where nobody could tell it how the migration ended. The proof: on the destination, the
    definition is written before the guest may run (qemuMigrationDstFinish); none is there, nor anything else of the VM.

    Returns:
        What the source has then.
    """
    source, destination = views
    is_ours = source.is_half and not source.has_job and not source.is_in_post_copy and not known.was_paused
    never_ran = destination.is_reachable and destination.record is None and known.is_persistent
    if not (is_ours and never_ran):
        return source
    try:
        pool.call(step.source, lambda host: host.resume(step.vm_uuid), deadline_s=deadline_s)
    except HpconsoleError as error:
        _log.warning("%s stands still on %s: %s", step.vm_uuid, step.source, error.detail or error.sentence)
    return look(pool, step.source, step.vm_uuid, deadline_s=deadline_s)


def give_back_cpus(pool: ConnectionPool, step: Step, known: KnownBefore, source: HostView, deadline_s: float) -> str:
    """The VM stays: its emulator threads get the CPUs back that they had. What could not be done, in a sentence."""
    if not known.emulator_here or not source.is_active or source.has_job:
        return ""
    return _give_back(pool, step.source, step.vm_uuid, known.emulator_here, deadline_s)[1]


def _give_back(pool: ConnectionPool, name: str, vm_uuid: str, cpus: str, deadline_s: float) -> tuple[bool, str]:
    """In this order: as long as the mark is there, everybody plans with what is meant.

    Returns:
        Whether the threads got their CPUs, and what could not be done, in a sentence.
    """
    try:
        pool.call(name, lambda host: host.pin_emulator(vm_uuid, cpus, live=True, config=False), deadline_s=deadline_s)
    except HpconsoleError as error:
        words = f"Its emulator threads did not get CPUs {cpus} of {name} back, as far as is known: {error.sentence}"
        return False, words
    try:
        pool.call(name, lambda host: host.mark_lent(vm_uuid, None), deadline_s=deadline_s)
    except HpconsoleError as error:
        return True, (
            f"Its emulator threads got CPUs {cpus} of {name} back, but it may still say (<metadata>) that they are on "
            f"lent ones: {error.sentence}"
        )
    return True, ""


def _definition(host: Hypervisor, step: Step) -> str:
    """Of a running VM that has none: as planned, without what belongs to the migration only."""
    return with_mark(with_placement(host.migratable_xml(step.vm_uuid), step.placement), None)


def left_file(pool: ConnectionPool, step: Step, known: KnownBefore, deadline_s: float) -> str:
    """What libvirt leaves at the source of a VM with UEFI: looked for where a storage pool can tell. A sentence."""
    if not known.nvram:
        return ""
    try:
        is_there = pool.call(step.source, lambda host: host.has_file(known.nvram), deadline_s=deadline_s)
    except HpconsoleError:
        is_there = None
    if is_there is False:
        return ""
    word = "is" if is_there else "may be"
    return (
        f"The file of its UEFI variables {word} left on {step.source}: {known.nvram}. Unless the two hosts share that "
        "folder, it can be removed there."
    )


def carry_over(
    pool: ConnectionPool, step: Step, known: KnownBefore, views: tuple[HostView, HostView], deadline_s: float
) -> tuple[EndState, HostView, list[str]]:
    """Finish what the migration left undone.

    Args:
        views: What source and destination were seen to have.

    Returns:
        How it stands then, what the destination has then, and a sentence for each thing that could not be done.
    """
    source, destination = views
    problems: list[str] = []
    uuid, here, there = step.vm_uuid, step.source, step.destination

    def does(host: str, action: Callable[[Hypervisor], object], otherwise: str) -> bool:
        try:
            pool.call(host, action, deadline_s=deadline_s)
        except HpconsoleError as error:
            problems.append(f"{otherwise} {error.sentence}")
            return False
        return True

    changed = False
    if destination.record is not None and known.emulator_there:  # first: what is defined below is what it has by then
        changed, problem = _give_back(pool, there, uuid, known.emulator_there, deadline_s)
        problems += [problem] if problem else []
    if destination.record is None or destination.is_half:  # it never ran there: all there is of it may be elsewhere
        return judge(source, destination, was_paused=known.was_paused), destination, problems
    is_defined = destination.record.is_persistent
    if known.is_persistent and not is_defined:
        # libvirt moves a VM though its definition cannot be written, and says nothing of it
        lost = f"It is not defined persistently on {there}: once it is shut down, it will be gone there."
        is_defined = does(there, lambda host: host.define(_definition(host, step)), lost)
        changed |= is_defined
    if known.autostart and not destination.record.autostart:
        forgotten = f"It will not be started with {there}:"
        changed |= does(there, lambda host: host.set_autostart(uuid, on=True), forgotten)
    is_left = source.record is not None and not source.is_active and source.record.is_persistent
    if known.is_persistent and is_left and is_defined:  # else it would be the only definition there is
        left = f"Its definition is left on {here}: remove it there."
        changed |= does(here, lambda host: host.undefine(uuid), left)
    if changed:
        source = look(pool, here, uuid, deadline_s=deadline_s)
        destination = look(pool, there, uuid, deadline_s=deadline_s)
    return judge(source, destination, was_paused=known.was_paused), destination, problems
