"""A migration that another console, or a tool, began: seen and changed on its source host."""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.errors import ExecutionError, PlanOutOfDate
from hpconsole.core.events import MigrationProgress
from hpconsole.core.execution.progress import ProgressMeter
from hpconsole.core.execution.steering import JobChange
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import Hypervisor
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm

_JOB_UNDER_WAY = (1, 2)  # VIR_DOMAIN_JOB_BOUNDED, _UNBOUNDED
_MIGRATION_OUT = (0, 5)  # VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT; 0 where the hypervisor does not tell
_CALL_S = 10.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """The job of a VM as its source tells it at one moment."""

    vm_uuid: str
    vm_name: str
    host: str
    progress: MigrationProgress
    throttle_pct: int | None


def running_job(pool: ConnectionPool, snapshot: ClusterSnapshot, vm_uuid: str) -> RunningJob | None:
    """The migration of this VM that is under way; None if there is none. Blocks.

    Raises:
        PlanOutOfDate: there is no such VM, or it runs nowhere.
        HypervisorError: its host cannot be asked.
    """
    vm, host = _where(snapshot, vm_uuid)
    stats = pool.call(host, lambda source: source.job_stats(vm_uuid), deadline_s=_CALL_S)
    if stats.job_type not in _JOB_UNDER_WAY or stats.operation not in _MIGRATION_OUT:
        return None
    throttle = stats.auto_converge_throttle_pct
    return RunningJob(vm.uuid, vm.name, host, ProgressMeter().read(stats), throttle)


def steer_job(pool: ConnectionPool, snapshot: ClusterSnapshot, vm_uuid: str, change: JobChange) -> str:
    """Change it at once; what was done, in sentences. Blocks.

    Raises:
        ExecutionError: it is not being migrated, or this cannot be wanted; nothing was changed.
        HypervisorError: the host refused.
    """
    if change.problem():
        raise ExecutionError(f"{change.problem()} Nothing was changed.")
    job = _must_run(pool, snapshot, vm_uuid)

    def act(source: Hypervisor) -> None:
        if change.bandwidth_mib_s is not None or change.downtime_ms is not None:
            source.set_migration_limits(vm_uuid, bandwidth_mib_s=change.bandwidth_mib_s, downtime_ms=change.downtime_ms)
        if change.post_copy:
            source.start_post_copy(vm_uuid)

    pool.call(job.host, act, deadline_s=_CALL_S)
    done = [
        f"{job.vm_name} may be moved with up to {change.bandwidth_mib_s} MiB/s from now on."
        if change.bandwidth_mib_s is not None
        else "",
        f"{job.vm_name} may stand still for up to {change.downtime_ms} ms from now on."
        if change.downtime_ms is not None
        else "",
        f"{job.vm_name} is switched to post-copy: it runs on its new host now, and its memory follows."
        if change.post_copy
        else "",
    ]
    return " ".join(sentence for sentence in done if sentence)


def cancel_job(pool: ConnectionPool, snapshot: ClusterSnapshot, vm_uuid: str) -> str:
    """Have its source abort it. Blocks; raises as `steer_job`."""
    job = _must_run(pool, snapshot, vm_uuid)
    pool.call(job.host, lambda source: source.abort_job(vm_uuid), deadline_s=_CALL_S)
    return f"The migration of {job.vm_name} is being cancelled; it goes on running on {job.host}."


def _must_run(pool: ConnectionPool, snapshot: ClusterSnapshot, vm_uuid: str) -> RunningJob:
    job = running_job(pool, snapshot, vm_uuid)
    if job is None:
        vm, host = _where(snapshot, vm_uuid)
        raise ExecutionError(f"{vm.name} is not being migrated; it is on {host}. Nothing was changed.", subject=vm.name)
    return job


def _where(snapshot: ClusterSnapshot, vm_uuid: str) -> tuple[Vm, str]:
    vm = snapshot.vms.get(vm_uuid)
    if vm is None or vm.host is None:
        raise PlanOutOfDate("There is no such VM on any host.", subject=vm_uuid)
    return vm, vm.host
