"""The sentences of the Migrate dialog: which host is ahead by what, how many VMs move, what stands against a host.

Pure: values in, text out. No Qt, and nothing is computed about hosts here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hpconsole.core.model.host import Host
from hpconsole.core.planning.plan import Plan
from hpconsole.ui import format as fmt
from hpconsole.ui.migrate.unit_names import words
from hpconsole.ui.migrate.view import HostLine

if TYPE_CHECKING:
    from hpconsole.core.planning.migrate import HostChoice
    from hpconsole.core.scheduler.units import WeightPart

_ORDINALS = {1: "best", 2: "2nd", 3: "3rd"}


def them(count: int) -> str:
    """What the VMs of the dialog are called after they were named."""
    return "it" if count == 1 else "them all"


def automatic(plan: Plan, vm_count: int, choices: Sequence[HostChoice], hosts: Mapping[str, Host]) -> str:
    """Where the VMs would go now, and why there."""
    if len(plan.steps) > 1 or vm_count > 1:
        places = sorted({step.destination for step in plan.steps}, key=fmt.natural)
        moved = fmt.count(len(plan.steps), "VM")
        where = f"{fmt.names(tuple(places))}, each where it fits best" if len(places) > 1 else places[0]
        return f"Now: {moved} to {where}."
    best = plan.steps[0].destination
    suitable = [choice for choice in choices if choice.is_suitable]
    others = [choice for choice in suitable if choice.name != best]
    mine = next((choice for choice in suitable if choice.name == best), None)
    if mine is None:
        return f"Now: {best}."
    if not others:
        return f"Now: {best}, the only host that can take it."
    return f"Now: {ahead(mine, others[0], hosts)}"


def ahead(best: HostChoice, other: HostChoice, hosts: Mapping[str, Host]) -> str:
    """Why one host comes before the next, in what people can compare: load, memory, points."""
    if best.score == other.score:
        return (
            f"{best.name}, with {fmt.number(best.score)} points the equal of {other.name} "
            "and before it in the order of names."
        )
    theirs = {part.unit: part.contribution for part in other.parts}
    gains = sorted(
        ((part.contribution - theirs.get(part.unit, 0.0), part) for part in best.parts), key=lambda gain: -gain[0]
    )
    reasons = [_gain(gain, part, best.name, other.name, hosts) for gain, part in gains if gain > 0]
    by = f": better in {fmt.names(tuple(reasons))}" if reasons else ""
    return f"{best.name} with {fmt.number(best.score)} points, before {other.name} with {fmt.number(other.score)}{by}."


def _gain(gain: float, part: WeightPart, best: str, other: str, hosts: Mapping[str, Host]) -> str:
    mine, theirs = (_measure(part.unit, hosts.get(name)) for name in (best, other))
    if mine and theirs and mine != theirs:
        return f"{words(part.unit)} ({mine} against {theirs})"
    return f"{words(part.unit)} (+{fmt.count(round(gain), 'point')})"


def _measure(unit: str, host: Host | None) -> str:
    """The quantity a weight looks at, as the table beside it shows it; empty where it is none of those."""
    if host is None:
        return ""
    if unit in ("OptimalForCpuEvenDistribution", "OptimalForCpuPowerSaving"):
        return fmt.pct(host.usage.cpu_pct) if host.usage.cpu_pct is not None else ""
    if unit in ("OptimalForMemoryEvenDistribution", "OptimalForMemoryPowerSaving"):
        return fmt.kib(host.usage.memory_free_kib) if host.usage.memory_free_kib is not None else ""
    return ""


def merits(choice: HostChoice, suitable: Sequence[HostChoice]) -> str:
    """How it compares with the other suitable hosts in what tells them apart; the rest as one number."""
    points: dict[str, set[float]] = {}
    for other in suitable:
        for part in other.parts:
            points.setdefault(part.unit, set()).add(part.contribution)
    telling = sorted((p for p in choice.parts if len(points[p.unit]) > 1), key=lambda part: -part.contribution)
    shown = []
    for part in telling:
        better = sum(other > part.contribution for other in points[part.unit])
        shown.append(f"{words(part.unit)} {_ORDINALS.get(better + 1, f'{better + 1}th')} (+{part.contribution:g})")
    rest = sum(part.contribution for part in choice.parts if len(points[part.unit]) == 1)
    if rest or not shown:
        shown.append(f"otherwise alike ({rest:g})" if shown else f"alike in everything ({rest:g})")
    line = "  ·  ".join(shown)
    return line[:1].upper() + line[1:]


def objection(choice: HostChoice) -> str:
    """The first reason against it, and how many more there are."""
    if not choice.refusals:
        return "Unsuitable"
    more = len(choice.refusals) - 1
    return choice.refusals[0].sentence + (f"  (+{more} more)" if more else "")


def chosen(shown: HostLine | None, there: int, vm_count: int) -> str:
    """The label of the second choice. `there`: how many of the VMs are on that host already."""
    if shown is None:
        return "Migrate to the host selected below"
    if shown.is_known and not shown.is_suitable:
        return f"Migrate to the host selected below ({shown.name} cannot take {them(vm_count)})"
    some = f" ({vm_count - there} to move, {there} already there)" if 0 < there < vm_count else ""
    return f"Migrate to the host selected below: {shown.name}{some}"


def status(hosts: Sequence[HostLine], vm_count: int, vm_name: str) -> str:
    """How many hosts can take what is to move, or which comes nearest."""
    suitable = sum(line.is_suitable for line in hosts)
    what = ("the VM", "both VMs")[vm_count - 1] if vm_count < 3 else f"all {vm_count} VMs together"
    if not suitable and any(line.refusals for line in hosts):
        # As ordered (see question.in_order()), but for hosts that are away: nobody could go there whatever was changed.
        there = [line for line in hosts if all(refusal.kind != "HOST_NOT_UP" for refusal in line.refusals)]
        nearest = (there or hosts)[0]
        name = vm_name if vm_count == 1 else what
        return f"No host can take {name}. Nearest: {nearest.name}, {fmt.count(len(nearest.refusals), 'reason')}"
    return f"{suitable} of {fmt.count(len(hosts), 'host')} can take {what}"


def button(plan: Plan | None) -> str:
    """What pressing it does."""
    if plan is None:
        return "Migrate"
    if len(plan.steps) == 1:
        return f"Migrate {plan.steps[0].vm_name} to {plan.steps[0].destination}"
    places = {step.destination for step in plan.steps}
    where = f" to {next(iter(places))}" if len(places) == 1 else ""
    return f"Migrate {len(plan.steps)} VMs{where}"
