"""What a snapshot says about a drain: who is still there, who has left, whether the hosts are empty. Pure.

Polls may lag behind what was just done, so a VM that has left counts as gone until a poll well after that shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from hpconsole.core.execution.drain_record import DoneVm, DrainRecord, StuckVm
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.drain import DrainAction, DrainItem, DrainPlan

_MARGIN = timedelta(seconds=3)  # a poll that began before a VM left may end after it


def remaining(record: DrainRecord, snapshot: ClusterSnapshot) -> list[Vm]:
    """The VMs on the hosts, without those whose departure a poll may not have seen yet."""
    left = {one.vm_uuid: one for one in record.done}
    return [
        vm
        for host in record.intent.hosts
        for vm in snapshot.vms_on(host)
        if not _has_just_left(left.get(vm.uuid), host, snapshot)
    ]


def unseen_departures(record: DrainRecord, snapshot: ClusterSnapshot) -> list[str]:
    """The VMs that have left, and that the snapshot still shows where they were."""
    return [
        gone.vm_uuid
        for gone in record.done
        if (vm := snapshot.vms.get(gone.vm_uuid)) is not None
        and vm.host == gone.source
        and gone.source in snapshot.hosts
        and _has_just_left(gone, gone.source, snapshot)
    ]


def just_left(record: DrainRecord, snapshot: ClusterSnapshot) -> list[str]:
    """The VMs that have left, where no poll of their old host well after that is known yet."""
    return [
        gone.vm_uuid
        for gone in record.done
        if gone.source in snapshot.hosts and _has_just_left(gone, gone.source, snapshot)
    ]


def _has_just_left(gone: DoneVm | None, host: str, snapshot: ClusterSnapshot) -> bool:
    if gone is None or gone.source != host:
        return False
    seen_at = snapshot.hosts[host].usage.at
    return seen_at is None or seen_at < gone.at + _MARGIN


def arriving(hosts: Iterable[str], snapshot: ClusterSnapshot) -> list[Vm]:
    """The VMs that are being migrated to these hosts by anybody: they still run elsewhere."""
    names = set(hosts)
    return [
        vm
        for vm in snapshot.vms.values()
        if vm.is_migrating and vm.host not in names and any(other.host in names for other in vm.other_processes)
    ]


def is_gone(vm_uuid: str, host_name: str, snapshot: ClusterSnapshot, since: datetime) -> bool:
    """Whether a poll after `since` did not see the VM run on its host."""
    vm, host = snapshot.vms.get(vm_uuid), snapshot.hosts.get(host_name)
    if host is None or host.link.state is not LinkState.CONNECTED or (host.link.answered_at or since) <= since:
        return False
    return vm is None or vm.host != host_name or not vm.state.is_active


def are_empty(record: DrainRecord, snapshot: ClusterSnapshot) -> bool:
    """Whether every host of the drain answers and was seen without VMs."""
    hosts = [snapshot.hosts.get(name) for name in record.intent.hosts]
    if arriving(record.intent.hosts, snapshot):
        return False
    return bool(hosts) and all(
        host is not None and host.link.state is LinkState.CONNECTED and not snapshot.vms_on(host.name) for host in hosts
    )


def is_seen_since(moment: datetime, record: DrainRecord, snapshot: ClusterSnapshot) -> bool:
    """Whether every host that answers and can have to do with the drain was polled after this moment."""
    hosts = [h for h in snapshot.hosts.values() if h.link.state is LinkState.CONNECTED]
    concerned = [h for h in hosts if h.is_candidate or h.name in record.intent.hosts]
    return all(h.usage.at is not None and h.usage.at > moment for h in concerned)


def stuck_that_left(record: DrainRecord, snapshot: ClusterSnapshot) -> list[StuckVm]:
    """Those that could not leave, and are gone all the same: moved or stopped by somebody."""
    left: list[StuckVm] = []
    for stuck in record.stuck:
        host, vm = snapshot.hosts.get(stuck.host), snapshot.vms.get(stuck.vm_uuid)
        is_here = vm is not None and vm.host == stuck.host and vm.state.is_active
        if not is_here and host is not None and host.link.state is LinkState.CONNECTED:
            left.append(stuck)
    return left


def stuck_now(
    plan: DrainPlan, record: DrainRecord, snapshot: ClusterSnapshot
) -> tuple[tuple[StuckVm, ...], str] | None:
    """Who keeps the hosts from maintenance when nothing more can be done, and a sentence; None: they are leaving."""
    here = {vm.uuid: vm for vm in remaining(record, snapshot)}
    if not here:
        return _silent(record, snapshot)  # or gone, and not seen to be yet
    known = {one.vm_uuid for one in record.stuck}
    added = [
        StuckVm(item.vm_uuid, item.vm_name, item.source, f"{item.sentence} {item.why}")
        for item in plan.open_items
        if item.vm_uuid not in known
    ]
    added += [
        StuckVm(item.vm_uuid, item.vm_name, item.source, item.why, is_chosen=True)
        for item in plan.items
        if item.action is DrainAction.LEAVE and item.vm_uuid in record.intent.left_out
    ]
    together = {one.vm_uuid: one for one in (*added, *record.stuck) if one.vm_uuid in here}
    names = ", ".join(one.vm_name for one in together.values()) or ", ".join(vm.name for vm in here.values())
    sentence = (
        f"{', '.join(record.intent.hosts)} preparing for maintenance: {names} could not leave. Move or stop them, or "
        "choose what becomes of them, and try again."
    )
    return tuple(together.values()), sentence


def _silent(record: DrainRecord, snapshot: ClusterSnapshot) -> tuple[tuple[StuckVm, ...], str] | None:
    """Hosts that do not answer and have no VM that is known."""
    hosts = (snapshot.hosts.get(name) for name in record.intent.hosts)
    names = ", ".join(h.name for h in hosts if h is not None and h.link.state is not LinkState.CONNECTED)
    if not names:
        return None
    sentence = (
        f"{names} does not answer, so whether VMs run there is not known. It goes to maintenance when it answers and "
        "none does; until then nothing is placed on it."
    )
    return (), sentence


def next_moves(
    plan: DrainPlan, waiting: Iterable[DrainItem], record: DrainRecord, busy: Iterable[str], outgoing: int
) -> list[DrainItem]:
    """Which of the waiting moves may begin now: so many leave a host at a time, and those that make room go first.

    Args:
        busy: The source of each move that is under way.
        outgoing: How many may leave one host at the same time.
    """
    leaving = Counter(busy)
    done = {one.vm_uuid for one in record.done}
    asides_left = [item.wave for item in plan.moves if item.is_other and item.vm_uuid not in done]
    chosen: list[DrainItem] = []
    for item in waiting:
        if leaving[item.source] < outgoing and not any(wave < item.wave for wave in asides_left):
            leaving[item.source] += 1
            chosen.append(item)
    return chosen
