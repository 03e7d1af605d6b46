"""What *Return VMs Home* shows: who goes back where, with which pins, and who cannot. No Qt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.placement_text import bound_nodes, cpus_on_nodes
from hpconsole.core.planning.plan import MigrateStep, Plan
from hpconsole.ui import format as fmt

TITLES = ("VM", "Is on", "Goes back to", "Pinning there", "Takes about")


@dataclass(frozen=True, slots=True)
class StepRow:
    """One VM that can go back, as the table shows it: a text for each of `TITLES`."""

    vm_uuid: str
    cells: tuple[str, ...]
    sentence: str


def rows(plan: Plan, snapshot: ClusterSnapshot) -> tuple[StepRow, ...]:
    """The table, in the order of the plan."""
    return tuple(
        StepRow(
            step.vm_uuid,
            (step.vm_name, step.source, step.destination, pinning(step, snapshot), duration(step)),
            step.sentence,
        )
        for step in plan.steps
    )


def pinning(step: MigrateStep, snapshot: ClusterSnapshot) -> str:
    """Which CPUs or nodes the VM gets there."""
    host = snapshot.hosts.get(step.destination)
    if step.placement.pinning.vcpus and host is not None:
        return cpus_on_nodes(step.placement.pinning.all_vcpu_cpus, host.topology)
    nodes = bound_nodes(step.placement)
    return f"memory on node {nodes.format()}" if nodes else "not pinned"


def duration(step: MigrateStep) -> str:
    """How long it will take, and how long it will stand still."""
    if step.forecast is None:
        return fmt.UNKNOWN
    return f"{fmt.seconds(step.forecast.total_s)}, pause {fmt.milliseconds(step.forecast.downtime_ms)}"


def question(hosts: Collection[str]) -> str:
    """What is asked."""
    if not hosts:
        return "Move VMs back to where they came from?"
    return f"Move the VMs that left {fmt.names(tuple(hosts))} back?"


def consequence(plan: Plan, chosen: Collection[str]) -> str:
    """What will be done, in a sentence, before it is done."""
    count = sum(step.vm_uuid in chosen for step in plan.steps)
    if not plan.steps:
        stays = " Why they stay is said below." if plan.warnings else ""
        return f"No VM can go back now.{stays}" if stays else "No VM has to go back: none was moved, or all are back."
    if not count:
        return "Check the VMs that are to go back."
    verb, pins = ("is", "it") if count == 1 else ("are", "they")
    return (
        f"{fmt.count(count, 'VM')} {verb} migrated while running, with the pins {pins} had there where these are free."
    )


def stays(plan: Plan) -> str:
    """Who cannot go back and why, a line each."""
    return "\n".join(plan.warnings)


def only(plan: Plan, chosen: Collection[str]) -> Plan:
    """The plan with these VMs only."""
    return replace(plan, steps=tuple(step for step in plan.steps if step.vm_uuid in chosen))


def accept_text(plan: Plan | None, chosen: Collection[str]) -> str:
    """What the button says."""
    count = 0 if plan is None else sum(step.vm_uuid in chosen for step in plan.steps)
    return f"&Move {fmt.count(count, 'VM')} Back" if count else "&Move Back"
