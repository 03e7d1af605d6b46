"""Doing it: VMs are made, changed, started, ended and deleted on their hosts, and what happened is said.

Every function blocks and asks hosts: never on the GUI thread. Nothing is written before everything was checked; what
was begun and cannot be ended is undone, as far as it can be, and told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from hpconsole.core.amounts import names
from hpconsole.core.errors import HpconsoleError, HypervisorError, InvalidEdit, PlanOutOfDate
from hpconsole.core.hypervisor.domain_xml import with_placement
from hpconsole.core.hypervisor.machine_port import NewVolume
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.machines.changing import LiveEdit, LiveKind, live_edits
from hpconsole.core.machines.checking import check
from hpconsole.core.machines.draft import CpuPinningPolicy, DiskDraft, VmDraft
from hpconsole.core.machines.reading import read_draft, vm_from_xml
from hpconsole.core.machines.resizing import resized, resized_placement
from hpconsole.core.machines.surroundings import NEW_UUID, Surroundings, meant_vm
from hpconsole.core.machines.writing import render
from hpconsole.core.model.host import HostStatus, HostTopology
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from hpconsole.core.scheduler.occupancy import occupancy
from hpconsole.core.scheduler.placement import Misfit, place
from hpconsole.core.scheduler.request import Request

_log = logging.getLogger(__name__)
DEADLINE_S = 30.0
_BLOCK_POOLS = ("logical", "disk", "iscsi", "scsi", "mpath", "zfs")
_FILE_POOLS = ("dir", "fs", "netfs", "vstorage")


@dataclass(frozen=True, slots=True)
class Saved:
    """What is true now. `notes`: what did not happen as hoped, a sentence each."""

    uuid: str
    name: str
    host: str
    notes: tuple[str, ...] = ()
    is_started: bool = False
    placement: Placement | None = None  # where exactly it was put


def refuse_errors(draft: VmDraft, around: Surroundings) -> None:
    """Check everything once more.

    Raises:
        InvalidEdit: with the first field that is wrong.
    """
    wrong = next((problem for problem in check(draft, around) if not problem.is_warning), None)
    if wrong is not None:
        raise InvalidEdit(wrong.field, wrong.sentence, subject=draft.name)


def open_vm(pool: ConnectionPool, host: str, uuid: str) -> VmDraft:
    """The draft of a VM's definition as it is now.

    Raises:
        HypervisorError, InvalidXml: it cannot be read.
    """
    return read_draft(pool.call(host, lambda h: h.definition(uuid), deadline_s=DEADLINE_S))


def choose_host(draft: VmDraft, around: Surroundings) -> str:
    """Where a new VM is made if nobody says: the best host for it by the scheduler's order.

    Raises:
        NoSuitableHost: none can run it.
        HpconsoleError: the draft cannot be meant.
    """
    vm = replace(meant_vm(draft), host=around.shape_host(draft))
    request = Request((vm.uuid,), only_hosts=frozenset(draft.allowed_hosts))
    ranking = rank(request, around.with_vm(vm), around.policy, around.reservations)
    if ranking.best is None:
        refused = [name for name in ranking.refused if not draft.allowed_hosts or name in draft.allowed_hosts]
        reasons = [f"{name}: {why[0].sentence}" for name in refused[:3] if (why := ranking.refusals(name))]
        raise NoSuitableHost(
            f"No host can run {draft.name}; nothing was made. " + " ".join(reasons), ranking=ranking, subject=draft.name
        )
    return ranking.best


def create(
    pool: ConnectionPool,
    host: str,
    draft: VmDraft,
    around: Surroundings,
    *,
    start: bool = False,
) -> Saved:
    """Make the VM: its volumes, its definition, and with `start` its process.

    A kept shape is written down as the map that fits the host now; without `start`, and where there is no room now, as
    it stands in the draft: it is computed again at each start.

    Raises:
        InvalidEdit: a field cannot be so; nothing was made.
        NoSuitableHost: a pinned VM has no room there now; nothing was made.
        HypervisorError: the host refused; what had been made was deleted again.
    """
    around = replace(around, host=host)
    if draft.allowed_hosts and host not in draft.allowed_hosts:
        raise InvalidEdit("allowed_hosts", f"{host} is not among the specific hosts of {draft.name}.")
    draft = resized(draft, around.snapshot.hosts[host])
    refuse_errors(draft, around)
    placement = _placed(draft, around, host, is_needed=start)
    draft, made = _with_volumes(pool, host, draft)
    try:
        xml = render(draft, host=host)
        if placement is not None and not placement.is_free:
            xml = with_placement(xml, placement)
        uuid = pool.call(host, lambda h: h.define(xml), deadline_s=DEADLINE_S)
    except HpconsoleError:
        _delete_volumes(pool, host, made)
        raise
    notes: tuple[str, ...] = ()
    is_started = False
    if start:
        try:
            pool.call(host, lambda h: h.start(uuid), deadline_s=DEADLINE_S)
            is_started = True
        except HypervisorError as error:
            notes = (f"{draft.name} was made on {host}, but did not start: {error.sentence}",)
    return Saved(uuid, draft.name, host, notes, is_started, placement)


def _placed(draft: VmDraft, around: Surroundings, host: str, *, is_needed: bool) -> Placement | None:
    vm = replace(meant_vm(draft, host=host), host=host)
    if draft.cpu_pinning_policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        return resized_placement(draft, around.snapshot.hosts[host], vm.uuid)
    try:
        return placement_on(vm, around, host, source=around.shape_topology(draft))
    except NoSuitableHost:
        if is_needed:
            raise
        return None


def placement_on(vm: Vm, around: Surroundings, host: str, *, source: HostTopology | None = None) -> Placement:
    """The exact map of a VM that is to start on this host now.

    Raises:
        NoSuitableHost: there is no room; the sentence says what is missing.
    """
    there = around.snapshot.hosts[host]
    taken = occupancy(there, around.snapshot.vms.values(), around.reservations, without=frozenset({vm.uuid}))
    placed = place(vm, taken, source=source or there.topology)
    if isinstance(placed, Misfit):
        own = Request((vm.uuid,), only_hosts=frozenset({host}))
        ranking = rank(own, around.with_vm(replace(vm, host=None)), around.policy, around.reservations)
        raise NoSuitableHost(
            f"{vm.name} has no room on {host} now, and nothing was changed: {placed.sentence}",
            ranking=ranking,
            subject=vm.name,
        )
    return placed


# --- volumes ----------------------------------------------------------------------


def _with_volumes(pool: ConnectionPool, host: str, draft: VmDraft) -> tuple[VmDraft, list[tuple[str, str]]]:
    """The draft with the disks that were to be made; and which volumes those are."""
    made: list[tuple[str, str]] = []
    disks: list[DiskDraft] = []
    kinds: dict[str, str] = {}
    if any(_is_asked_for(disk) for disk in draft.disks):
        records = pool.call(host, lambda h: h.storage_pools(), deadline_s=DEADLINE_S)
        kinds = {record.name: record.kind for record in records}
    try:
        for disk in draft.disks:
            disks.append(_made(pool, host, disk, kinds, made) if _is_asked_for(disk) else disk)
    except HpconsoleError:
        _delete_volumes(pool, host, made)
        raise
    return replace(draft, disks=tuple(disks)), made


def _is_asked_for(disk: DiskDraft) -> bool:
    """Whether a pool is to be asked: for a volume to be made, or for one that was chosen."""
    return disk.is_new_volume or (bool(disk.pool) and not disk.key)


def _made(
    pool: ConnectionPool, host: str, disk: DiskDraft, kinds: dict[str, str], made: list[tuple[str, str]]
) -> DiskDraft:
    if disk.is_new_volume:
        wanted = NewVolume(
            disk.pool, disk.volume, disk.format, disk.create_kib, disk.clone_from, is_linked=disk.is_linked
        )
        volume = pool.hypervisor(host).create_volume(wanted)  # may copy for minutes: not on the lane
        made.append((disk.pool, disk.volume))
    else:
        volumes = pool.call(host, lambda h: h.volumes(disk.pool), deadline_s=DEADLINE_S)
        found = next((record for record in volumes if record.name == disk.volume), None)
        if found is None:
            raise InvalidEdit("disks", f"The storage pool {disk.pool} on {host} has no volume {disk.volume}.")
        volume = found
    kind = kinds.get(disk.pool, "")
    plain = replace(disk, format="raw" if volume.format == "iso" else volume.format, create_kib=None, clone_from="")
    if kind in _FILE_POOLS:
        return replace(plain, kind="file", path=volume.path, pool="", volume="")
    if kind in _BLOCK_POOLS:
        return replace(plain, kind="block", path=volume.path, pool="", volume="")
    return replace(plain, kind="volume")


def _delete_volumes(pool: ConnectionPool, host: str, made: list[tuple[str, str]]) -> None:
    for place_, name in made:
        try:
            pool.call(host, _deletion(place_, name), deadline_s=DEADLINE_S)
        except HypervisorError as error:
            _log.warning("volume %s in %s on %s is left behind: %s", name, place_, host, error.sentence)


def _deletion(pool_name: str, name: str) -> Callable[[Hypervisor], None]:
    return lambda h: h.delete_volume(pool_name, name)


# --- editing ----------------------------------------------------------------------


def save(pool: ConnectionPool, host: str, before: VmDraft, after: VmDraft, around: Surroundings) -> Saved:
    """Write an edited draft: the definition, and to a running VM what can be changed at once.

    Args:
        before: The draft as it was opened.

    Raises:
        InvalidEdit: a field cannot be so; nothing was changed.
        PlanOutOfDate: somebody else changed the definition meanwhile; nothing was changed.
        HypervisorError: the host refused; nothing was changed (new volumes were deleted again).
    """
    around = replace(around, host=host)
    refuse_errors(after, around)
    uuid = before.uuid
    now = refuse_stale(pool, host, before)
    after, made = _with_volumes(pool, host, after)
    try:
        xml = render(after, host=host)
        if after.name != before.name:
            pool.call(host, lambda h: h.rename(uuid, after.name), deadline_s=DEADLINE_S)
        if xml != now:
            pool.call(host, lambda h: h.define(xml), deadline_s=DEADLINE_S)
    except HpconsoleError:
        _delete_volumes(pool, host, made)
        raise
    vm = around.present(after)
    notes: list[str] = []
    if vm is not None and vm.is_running_somewhere and vm.host == host:
        cpus = around.snapshot.hosts[host].topology.all_cpus
        for edit in live_edits(before, after, vm, cpus):
            notes += _retune(pool, host, uuid, edit)
    return Saved(uuid, after.name, host, tuple(notes))


def refuse_stale(pool: ConnectionPool, host: str, before: VmDraft) -> str:
    """The definition as it is now, which is the one that was opened.

    Raises:
        PlanOutOfDate: somebody else changed it.
        HypervisorError: the host cannot tell.
    """
    now = pool.call(host, lambda h: h.definition(before.uuid), deadline_s=DEADLINE_S)
    if now != before.xml:
        raise PlanOutOfDate(
            f"The definition of {before.name} on {host} was changed by somebody else since it was opened. Nothing was "
            "saved: open the VM again and repeat the change.",
            subject=before.name,
        )
    return now


def _retune(pool: ConnectionPool, host: str, uuid: str, edit: LiveEdit) -> list[str]:
    """One live change; what the host refuses takes effect at the next start, which is a note and no failure."""

    def call(hypervisor: Hypervisor) -> None:
        if edit.kind is LiveKind.VCPU:
            hypervisor.pin_vcpu(uuid, edit.number, edit.value, live=True, config=False)
        elif edit.kind is LiveKind.EMULATOR:
            hypervisor.pin_emulator(uuid, edit.value, live=True, config=False)
        elif edit.kind is LiveKind.IOTHREAD:
            hypervisor.pin_iothread(uuid, edit.number, edit.value, live=True, config=False)
        elif edit.kind is LiveKind.MEMORY:
            hypervisor.set_memory(uuid, int(edit.value), live=True, config=False)
        else:
            hypervisor.set_metadata(uuid, edit.value, live=True, config=False)

    try:
        pool.call(host, call, deadline_s=DEADLINE_S)
    except HypervisorError as error:
        what = (
            f"{edit.kind.value} {edit.number}" if edit.kind in (LiveKind.VCPU, LiveKind.IOTHREAD) else edit.kind.value
        )
        return [f"The {what} could not be changed at once and will be at the next start: {error.sentence}"]
    return []


# --- life -------------------------------------------------------------------------


def start_vm(pool: ConnectionPool, vm: Vm, around: Surroundings) -> Saved:
    """Start a VM on the host that has its definition, with its pinning computed for what is free there now.

    Raises:
        NoSuitableHost: it may not run there, or a pinned VM has no room there; nothing was changed.
        HypervisorError: the host refused.
    """
    host = vm.host or ""
    xml = pool.call(host, lambda h: h.definition(vm.uuid), deadline_s=DEADLINE_S)
    draft = read_draft(xml)
    _refuse_place(vm, draft, around)
    sized = resized(draft, around.snapshot.hosts[host])
    base = render(sized)
    meant = replace(vm_from_xml(base, host=host), uuid=vm.uuid or NEW_UUID)
    if sized.cpu_pinning_policy is CpuPinningPolicy.RESIZE_AND_PIN_NUMA:
        placement = resized_placement(sized, around.snapshot.hosts[host], vm.uuid)
    else:
        placement = placement_on(meant, around, host)
    placed = base if placement.is_free else with_placement(base, placement)

    def call(hypervisor: Hypervisor) -> None:
        if placed != xml:
            hypervisor.define(placed)
        hypervisor.start(vm.uuid)

    pool.call(host, call, deadline_s=DEADLINE_S)
    return Saved(vm.uuid, vm.name, host, is_started=True, placement=placement)


def _refuse_place(vm: Vm, draft: VmDraft, around: Surroundings) -> None:
    """A VM starts where it is defined, if it may run there; its definition and disks are not carried about by a start.

    Raises:
        NoSuitableHost: its host takes no VMs, or is none of its specific hosts; says which of those would be the best.
    """
    host = around.snapshot.hosts[vm.host or ""]
    is_elsewhere = bool(draft.allowed_hosts) and host.name not in draft.allowed_hosts
    if host.status is HostStatus.UP and not is_elsewhere:
        return
    only = frozenset(draft.allowed_hosts or around.snapshot.hosts) - {host.name}
    request = Request((vm.uuid,), only_hosts=only)
    meant = replace(meant_vm(draft), host=around.shape_host(draft))
    ranking = rank(request, around.with_vm(meant), around.policy, around.reservations)
    if is_elsewhere:
        why = f"it may run on {names(draft.allowed_hosts)} only, and is defined on {host.name}"
        remedy = f"Add {host.name} to its specific hosts, or define it on one of them"
    else:
        why = f"it is defined on {host.name}, which takes no VMs now ({host.status.value})"
        remedy = f"Activate {host.name}, or define it on another host"
    best = "" if ranking.best is None else f", best on {ranking.best}"
    raise NoSuitableHost(
        f"{vm.name} was not started: {why}. {remedy}{best}. Nothing was changed.", ranking=ranking, subject=vm.name
    )


def shut_down(pool: ConnectionPool, vm: Vm, *, by_force: bool = False) -> None:
    """Ask the guest to shut down, or end its process at once.

    Raises:
        HypervisorError: the host refused.
    """
    pool.call(
        vm.host or "", lambda h: h.force_off(vm.uuid) if by_force else h.shut_down(vm.uuid), deadline_s=DEADLINE_S
    )
