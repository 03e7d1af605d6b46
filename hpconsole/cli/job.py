"""`hpconsole job`: the running migration of a VM, whoever began it: shown, changed, cancelled."""

from __future__ import annotations

import argparse

from hpconsole.cli.exit_codes import ExitCode
from hpconsole.cli.options import Options
from hpconsole.cli.output import Json, print_json
from hpconsole.cli.session import find_vm, session
from hpconsole.cli.terminal import say
from hpconsole.core.execution.foreign_jobs import RunningJob, cancel_job, running_job
from hpconsole.core.execution.steering import NO_CHANGE, JobChange


def job(arguments: argparse.Namespace, options: Options) -> ExitCode:
    """Do what was asked, then say how the job stands. Exit code 1 where the VM is not being migrated."""
    change = JobChange(arguments.bandwidth, arguments.downtime, arguments.post_copy)
    with session(options) as app:
        snapshot = app.store.snapshot
        vm = find_vm(snapshot, arguments.vm)
        done = ""
        if arguments.cancel:
            done = cancel_job(app.pool, snapshot, vm.uuid)
        elif change != NO_CHANGE:
            done = app.steer(vm.uuid, change)
        found = running_job(app.pool, snapshot, vm.uuid) if vm.host is not None else None
        if arguments.json:
            print_json(
                {
                    "format": "hpconsole-job/1",
                    "vm": vm.name,
                    "uuid": vm.uuid,
                    "host": vm.host,
                    "done": done,
                    "job": None if found is None else _job_json(found),
                }
            )
        else:
            if done:
                say(done)
            say(_sentence(found) if found is not None else f"{vm.name} is not being migrated.")
    return ExitCode.DONE if done or found is not None else ExitCode.FAILED


def _job_json(found: RunningJob) -> Json:
    progress = found.progress
    return {
        "elapsed_s": progress.elapsed_s,
        "pass": progress.pass_number,
        "remaining_mib": round(progress.remaining_mib, 1),
        "total_mib": round(progress.total_mib, 1),
        "throughput_mib_s": round(progress.throughput_mib_s, 1),
        "dirty_rate_mib_s": None if progress.dirty_rate_mib_s is None else round(progress.dirty_rate_mib_s, 1),
        "throttle_pct": found.throttle_pct,
    }


def _sentence(found: RunningJob) -> str:
    progress = found.progress
    dirty = "" if progress.dirty_rate_mib_s is None else f", the guest writes {progress.dirty_rate_mib_s:.0f} MiB/s"
    slowed = f", slowed down by {found.throttle_pct} %" if found.throttle_pct else ""
    return (
        f"{found.vm_name} leaves {found.host}: pass {progress.pass_number}, {progress.remaining_mib:.0f} of "
        f"{progress.total_mib:.0f} MiB left, {progress.throughput_mib_s:.0f} MiB/s{dirty}{slowed}, "
        f"{progress.elapsed_s:.0f} s so far."
    )
