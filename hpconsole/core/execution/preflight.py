"""Is the step still right, now that its turn has come? Asks the newest snapshot and the source; changes nothing.

What the plan promised may be gone by then: the VM moved or stopped, the destination was filled or left. A place that
is still free is kept as confirmed; else a new one on the same host is taken, or the step is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hpconsole.core.errors import PlanOutOfDate, VmNotFound
from hpconsole.core.execution.end_states import HostView
from hpconsole.core.execution.known_before import KnownBefore, metadata_digest, nvram_path, placement_of
from hpconsole.core.execution.verification import look
from hpconsole.core.hypervisor.domain_xml import read_vm, with_placement
from hpconsole.core.hypervisor.lent_mark import LentMark, with_mark
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmState
from hpconsole.core.planning.migration_threads import UNCHANGED, ThreadPlaces, thread_places
from hpconsole.core.planning.placement_text import move_sentence
from hpconsole.core.planning.plan import Step
from hpconsole.core.planning.still_free import is_still_free
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.no_suitable_host import NoSuitableHost
from hpconsole.core.scheduler.placement import Misfit
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation

# Given what chooses a place among what is promised to other VMs, returns the step with that place, promised.
Booking = Callable[[Callable[[Sequence[Reservation]], Step]], Step]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step ready to be done. `persistent_xml` None = as the source has it (nothing to rewrite)."""

    step: Step
    vm: Vm
    known: KnownBefore
    destination_xml: str
    persistent_xml: str | None
    threads: ThreadPlaces = UNCHANGED


def prepare(
    planned: Step,
    pool: ConnectionPool,
    snapshot: ClusterSnapshot,
    policy: Policy,
    book: Booking,
    *,
    deadline_s: float,
) -> Prepared:
    """Check once more, and make the XML the destination gets.

    Args:
        book: Takes the place for this step, so that no other step takes it at the same moment.

    Raises:
        PlanningError: the step can no longer be done; nothing was changed.
        HypervisorError: the source could not be asked; nothing was changed.
    """
    view = look(pool, planned.source, planned.vm_uuid, deadline_s=deadline_s)
    vm = _present_vm(planned, snapshot, view, pool)
    present = as_seen(snapshot, vm)
    step = book(lambda others: _placed(planned, vm, present, policy, others))
    threads = thread_places(vm, step.placement, present)
    step = replace(step, sentence=f"{step.sentence} {threads.sentence(step.source, step.destination)}".strip())
    meanwhile = _with_emulator(step.placement, threads.destination)
    mark = None if threads.destination is None else LentMark(threads.destination, step.placement.pinning.emulator)
    xmls = pool.call(step.source, lambda source: _rewritten(source, step, view, meanwhile, mark), deadline_s=deadline_s)
    known = KnownBefore(
        was_paused=view.is_paused,
        is_persistent=vm.is_persistent,
        autostart=vm.autostart,
        metadata=metadata_digest(view.definition_xml),
        home=placement_of(vm, step.source),
        was_destination_clean=step.destination in snapshot.hosts and step.destination not in vm.other_hosts,
        nvram=nvram_path(view.live_xml),
        emulator_here=threads.source_after.format() if threads.source_after is not None else "",
        emulator_there=threads.destination_after.format() if threads.destination_after is not None else "",
    )
    return Prepared(step, vm, known, *xmls, threads)


def as_seen(snapshot: ClusterSnapshot, vm: Vm) -> ClusterSnapshot:
    """The snapshot with this VM as the hosts were just seen to have it: polls may lag behind a migration."""
    return replace(snapshot, vms={**snapshot.vms, vm.uuid: vm})


def settled(vm: Vm, host: str) -> Vm:
    """This VM as running on `host` and nowhere else, with no job."""
    state = vm.state if vm.state.is_active else VmState.RUNNING
    return replace(vm, host=host, state=state, is_migrating=False, also_running_on=())


def _present_vm(step: Step, snapshot: ClusterSnapshot, view: HostView, pool: ConnectionPool) -> Vm:
    if not view.is_reachable:
        pool.hypervisor(step.source)  # raises HostUnreachable with the reason, if it is down
        raise PlanOutOfDate(
            f"{step.vm_name} was not moved, since {step.source} does not answer. It was on {step.source} when it was "
            f"last seen; nothing was changed. {view.problem}",
            subject=step.vm_name,
        )
    polled = snapshot.vms.get(step.vm_uuid)
    if view.record is None or view.live_xml is None:
        where = f"It is on {polled.host} now." if polled is not None and polled.host not in (None, step.source) else ""
        sentence = f"{step.vm_name} does not run on {step.source} any more. {where} Nothing was changed."
        raise PlanOutOfDate(" ".join(sentence.split()), subject=step.vm_name)
    if view.has_job:
        raise PlanOutOfDate(
            f"{step.vm_name} is busy with another job on {step.source} (a migration, save or backup by somebody else). "
            "Nothing was changed. Wait for its end and try again.",
            subject=step.vm_name,
        )
    # As the source has it now, not as polled: a poll may show what an attempt has just left on a destination.
    source = snapshot.hosts.get(step.source)
    vm = read_vm(
        view.record,
        view.live_xml,
        host=step.source,
        inactive_xml=view.definition_xml,
        host_cpus=source.topology.all_cpus if source is not None else None,
    )
    return settled(replace(vm, other_hosts=polled.other_hosts) if polled is not None else vm, step.source)


def _placed(step: Step, vm: Vm, snapshot: ClusterSnapshot, policy: Policy, reservations: Sequence[Reservation]) -> Step:
    """The step with a place that is free now; the planned one if it still is."""
    ranking = rank(
        Request((vm.uuid,), ignore_hard_vm_affinity=step.ignores_vm_affinity), snapshot, policy, reservations
    )
    fresh = ranking.placement(step.destination, vm.uuid) if step.destination in ranking.accepted else None
    if fresh is None or isinstance(fresh, Misfit):
        reasons = [refusal.sentence for refusal in ranking.refusals(step.destination)]
        why = fresh.sentence if isinstance(fresh, Misfit) else " ".join(reasons) or "it is gone."
        sentence = f"{vm.name} can no longer move to {step.destination}: {why} It stays on {step.source}, unchanged."
        raise NoSuitableHost(sentence, ranking=ranking, subject=vm.name)
    host = snapshot.hosts[step.destination]
    if fresh == step.placement:
        return step
    is_as_planned = _shape(step.placement) == _shape(fresh)
    if is_as_planned and is_still_free(step.placement, vm, ranking.occupancy(host.name)):
        return step
    why = "Its planned place was taken meanwhile." if is_as_planned else "It was changed after it was planned."
    sentence = move_sentence(vm, snapshot.hosts[step.source], host, fresh)
    return replace(step, placement=fresh, sentence=f"{sentence} ({why})")


def _shape(placement: Placement) -> object:
    """What is bound and how, whatever the numbers: it differs once the VM was edited after the plan was made."""
    pinning, tune = placement.pinning, placement.numa_tune
    return (
        [(vcpu, len(cpus)) for vcpu, cpus in pinning.vcpus],
        pinning.emulator is None,
        [thread for thread, _ in pinning.iothreads],
        [(binding.node_id, binding.mode, len(binding.host_nodes)) for binding in placement.bindings],
        tune and (tune.mode, len(tune.nodeset)),
    )


def _with_emulator(placement: Placement, emulator: CpuSet | None) -> Placement:
    """The placement with these CPUs for the emulator threads, until the VM has arrived."""
    if emulator is None:
        return placement
    return replace(placement, pinning=replace(placement.pinning, emulator=emulator))


def _rewritten(
    source: Hypervisor, step: Step, view: HostView, meanwhile: Placement, mark: LentMark | None
) -> tuple[str, str | None]:
    # Always in full: libvirt would else send what the source has by then, with CPUs lent to the migration threads.
    live = with_mark(with_placement(source.migratable_xml(step.vm_uuid), meanwhile), mark)
    if view.record is None or not view.record.is_persistent:
        return live, None
    try:
        definition = source.migratable_xml(step.vm_uuid, inactive=True)
    except VmNotFound:
        return live, None
    return live, _changed(definition, step.placement)


def _changed(xml: str, placement: Placement) -> str | None:
    """What the destination gets; None where that is just what the source has."""
    meant = with_placement(xml, placement)
    return None if meant == xml else meant
