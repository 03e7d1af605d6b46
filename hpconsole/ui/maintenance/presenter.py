"""What *Maintenance host(s)* shows of a plan and of a drain that runs: rows, sentences, choices. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hpconsole.core.planning import drain
from hpconsole.core.planning.drain import AffectedVm, DrainAction, DrainIntent, DrainItem, DrainPlan, HostLoad
from hpconsole.core.scheduler.performance import Outlook
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone

if TYPE_CHECKING:
    from hpconsole.core.execution.drain_record import DrainRecord

_ACTIONS: Mapping[DrainAction, tuple[str, Tone]] = {
    DrainAction.MOVE: ("moves", Tone.NORMAL),
    DrainAction.SHUT_DOWN: ("is shut down", Tone.WARNING),
    DrainAction.POWER_OFF: ("is switched off", Tone.WARNING),
    DrainAction.LEAVE: ("stays", Tone.WARNING),
    DrainAction.BLOCKED: ("may not move", Tone.BAD),
    DrainAction.NO_HOST: ("fits no host", Tone.BAD),
}
_MOST_HOSTS = 4  # named in the warning; the table has them all
_OUTLOOKS = {
    Outlook.SAME: ("same", Tone.NORMAL),
    Outlook.BETTER: ("better", Tone.GOOD),
    Outlook.SLOWER: ("likely slower", Tone.WARNING),
}


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One VM of the plan, as the table shows it."""

    place: int
    item: DrainItem
    state: str = ""  # of a drain that runs: what became of it
    state_tone: Tone = Tone.NORMAL

    @property
    def key(self) -> str:
        """What identifies it."""
        return self.item.vm_uuid

    @property
    def action(self) -> tuple[str, Tone]:
        """What happens to it."""
        return _ACTIONS[self.item.action]

    @property
    def destination(self) -> str:
        """Where it goes; the administrator's own choices are marked."""
        if self.item.destination is None:
            return ""
        return f"{self.item.destination} (chosen)" if self.item.is_destination_chosen else self.item.destination

    @property
    def performance(self) -> tuple[str, Tone]:
        """How it will run there."""
        if self.item.performance is None:
            return "", Tone.NORMAL
        return _OUTLOOKS[self.item.performance.outlook]

    @property
    def took(self) -> str:
        """How long it will take, and how long it will stand still."""
        forecast = self.item.forecast
        if forecast is None:
            return ""
        return f"{fmt.seconds(forecast.total_s)}, pause {fmt.milliseconds(forecast.downtime_ms)}"


def rows(
    plan: DrainPlan, record: DrainRecord | None = None, moving: Collection[str] = frozenset()
) -> tuple[ItemRow, ...]:
    """The table, in the order in which things are done. `moving`: the VMs about which something is done right now."""
    states: dict[str, tuple[str, Tone]] = {}
    if record is not None:
        gone = {one.vm_uuid: one for one in record.done}
        stuck = {one.vm_uuid for one in record.stuck}
        for item in plan.items:
            if item.vm_uuid in gone:
                to = gone[item.vm_uuid].destination
                states[item.vm_uuid] = (f"is on {to}" if to else "is shut down", Tone.GOOD)
            elif item.vm_uuid in stuck:
                states[item.vm_uuid] = ("stays", Tone.BAD)
            elif item.vm_uuid in moving:
                is_move = item.action is DrainAction.MOVE
                states[item.vm_uuid] = ("is moving" if is_move else "is stopping", Tone.ACCENT)
            elif not record.state.is_over:
                states[item.vm_uuid] = ("waits", Tone.MUTED)
    return tuple(
        ItemRow(place, item, *states.get(item.vm_uuid, ("", Tone.NORMAL)))
        for place, item in enumerate(plan.items, start=1)
    )


def question(hosts: Iterable[str]) -> str:
    """What is asked."""
    return f"Put {fmt.names(tuple(hosts))} into maintenance?"


def consequence(plan: DrainPlan) -> str:
    """What will be done, in one sentence, before it is done."""
    if plan.obstacles:
        return " ".join(plan.obstacles)
    parts = []
    moves = [item for item in plan.moves if not item.is_other]
    others = [item for item in plan.moves if item.is_other]
    for action, words in ((DrainAction.SHUT_DOWN, "shut down"), (DrainAction.POWER_OFF, "switched off")):
        count = sum(item.action is action for item in plan.items)
        if count:
            parts.append(f"{fmt.count(count, 'VM')} {_are(count)} {words}")
    if moves:
        pace = f", {plan.at_once.outgoing} at a time from each host" if len(moves) > 1 else ""
        parts.insert(0, f"{fmt.count(len(moves), 'VM')} {_are(len(moves))} migrated{pace}")
    if others:
        parts.append(f"{fmt.count(len(others), 'VM')} of other hosts {_are(len(others))} moved to make room")
    staying = [item for item in plan.items if item.action is DrainAction.LEAVE]
    if not parts and not staying and not plan.open_items:
        return f"No VM runs there: {fmt.names(plan.intent.hosts)} {_go(plan)} to maintenance at once."
    said = "; ".join(parts)
    said = f"{said[0].upper()}{said[1:]}. " if said else ""
    if plan.blockers:
        names = fmt.names(tuple(item.vm_name for item in plan.blockers))
        return f"{said}Say what becomes of {names}: nothing is begun before."
    staying = [*staying, *plan.open_items]
    if staying:
        names = fmt.names(tuple(item.vm_name for item in staying))
        verb, still = ("stays", "it does") if len(staying) == 1 else ("stay", "they do")
        hosts = fmt.names(plan.intent.hosts)
        return f"{said}{names} {verb}; as long as {still}, {hosts} will be preparing for maintenance."
    return f"{said}Then {fmt.names(plan.intent.hosts)} {_go(plan)} to maintenance."


def warning(plan: DrainPlan) -> str:
    """The design document's warning, with the names; empty where no such VM is affected."""
    if not plan.warnings:
        return ""
    leaving = [one for one in plan.warnings if one.host in plan.intent.hosts]
    aside = [one for one in plan.warnings if one.host not in plan.intent.hosts]
    slower = [
        item.vm_name
        for item in plan.moves
        if item.is_special and item.performance is not None and item.performance.outlook is Outlook.SLOWER
    ]
    told = f" Likely slower: {fmt.names(tuple(slower))}." if slower else " None of them is expected to be slower."
    what = "A high-performance or pinned VM" if len(plan.warnings) == 1 else "High-performance or pinned VMs"
    where = [_by_host(leaving)] if leaving else []
    where += [f"to make room, {_by_host(aside)}"] if aside else []
    return f"{what} will be migrated, and performance may drop afterwards: {'; '.join(where)}.{told}"


def _by_host(affected: Iterable[AffectedVm]) -> str:
    """Who is where: “a and b (host-01), c (host-02)”."""
    hosts: dict[str, list[str]] = {}
    for one in affected:
        hosts.setdefault(one.host, []).append(one.vm_name)
    parts = [f"{fmt.names(tuple(vms))} ({host})" for host, vms in hosts.items()]
    if len(parts) > _MOST_HOSTS + 1:
        parts[_MOST_HOSTS:] = [f"VMs of {len(parts) - _MOST_HOSTS} more hosts"]
    return ", ".join(parts)


def affinity_state(wanted: bool | None, *, cluster_says: bool) -> str:
    """What the tick box about hard VM-to-VM affinity says now, in words."""
    if wanted is None:
        return f"as the cluster's setting says: {'yes' if cluster_says else 'no'}"
    return "yes, in this maintenance" if wanted else "no, not in this maintenance"


def planner(plan: DrainPlan) -> str:
    """Who planned it, and how far from the best plan it can be."""
    quality = plan.quality
    if not plan.moves:
        return ""
    who = "Planned jointly" if quality.planned_by is drain.PlannedBy.EXACT else "Planned one VM after the other"
    if quality.gap_pct is None:
        return f"{who}."
    if quality.gap_pct < 0.005:
        return f"{who}: no better plan exists."
    return f"{who}: at most {quality.gap_pct:.1f} % from the best plan."


def why_not_run(plan: DrainPlan | None) -> str:
    """Why the plan cannot be run; empty where it can."""
    if plan is None:
        return "The plan is still being made."
    if plan.obstacles:
        return " ".join(plan.obstacles)
    if plan.blockers:
        names = fmt.names(tuple(item.vm_name for item in plan.blockers))
        return f"Choose what becomes of {names} first: shut down, switch off, or leave there."
    return ""


def details(plan: DrainPlan, item: DrainItem) -> tuple[tuple[str, Tone], ...]:
    """All that is known of one VM of the plan, a line each."""
    lines: list[tuple[str, Tone]] = [(item.sentence, Tone.NORMAL)]
    if item.why:
        lines.append((item.why, Tone.NORMAL))
    if item.performance is not None:
        lines.append((item.performance.sentence, _OUTLOOKS[item.performance.outlook][1]))
    if item.forecast is not None:
        lines.append((item.forecast.sentence, Tone.NORMAL))
    lines += [(text, Tone.MUTED) for text in _load_lines(plan, item)]
    for refusal in item.refusals:
        reasons = " ".join(reason.sentence for reason in refusal.refusals)
        lines.append((f"{refusal.host}: {reasons}", Tone.MUTED))
    if item.would_help:
        lines.append((f"What would help: {item.would_help}", Tone.ACCENT))
    return tuple(lines)


def _load_lines(plan: DrainPlan, item: DrainItem) -> Iterable[str]:
    for step in plan.loads:
        if step.vm_uuid == item.vm_uuid:
            for before, after in zip(step.before, step.after, strict=True):
                yield f"{before.host}: {_load(before)} before, {_load(after)} after."


def _load(load: HostLoad) -> str:
    memory = fmt.UNKNOWN if load.memory_pct is None else f"{load.memory_pct:.0f} %"
    cpu = fmt.UNKNOWN if load.cpu_pct is None else f"{load.cpu_pct:.0f} %"
    return f"{fmt.count(load.vms, 'VM')}, memory {memory}, CPU {cpu}"


Edit = Callable[[DrainIntent], DrainIntent]
CHOICE_TIPS: Mapping[str, str] = {
    "leave": "It goes on where it is; its host stays in “preparing for maintenance”",
    "shut_down": "Its guest is asked to shut down, when its turn comes",
    "power_off": "It is ended without asking its guest: what was not written to its disks is lost",
    "plan": "Forget this decision; the planner chooses",
}


def choices(item: DrainItem) -> tuple[tuple[str, str, Edit], ...]:
    """What can be decided about a VM besides its destination: name, text and the edit."""
    vm = item.vm_uuid
    offered: list[tuple[str, str, Edit]] = []
    if item.action is not DrainAction.LEAVE and not item.is_other:
        offered.append(("leave", "&Leave There", lambda intent: drain.leaving_out(intent, vm)))
    if item.action is not DrainAction.SHUT_DOWN and not item.is_other:
        offered.append(("shut_down", "&Shut Down Instead", lambda intent: drain.shutting_down(intent, vm)))
    if item.action is not DrainAction.POWER_OFF and item.needs_choice:
        offered.append(("power_off", "Switch &Off Instead", lambda intent: drain.powering_off(intent, vm)))
    is_decided = item.is_destination_chosen or item.action in (
        DrainAction.LEAVE,
        DrainAction.SHUT_DOWN,
        DrainAction.POWER_OFF,
    )
    if is_decided:
        offered.append(("plan", "&Plan Freely", lambda intent: drain.planned_freely(intent, vm)))
    return tuple(offered)


def moved(plan: DrainPlan, vm_uuid: str, by: int) -> DrainIntent:
    """The plan's intent with this VM so many places later; earlier where it is negative."""
    order = [item.vm_uuid for item in plan.items]
    place = order.index(vm_uuid)
    other = place + by
    if 0 <= other < len(order):
        order[other], order[place] = order[place], order[other]
    return drain.in_order(plan.intent, order)


def course(record: DrainRecord) -> str:
    """How a drain stands."""
    done = f"{len(record.done)} of {fmt.count(record.total, 'VM')} {'has' if len(record.done) == 1 else 'have'} left."
    return f"{done} {record.sentence}" if record.total else record.sentence


def log(record: DrainRecord) -> tuple[str, ...]:
    """What happened, oldest first."""
    return tuple(f"{_clock(line.at)}   {line.sentence}" for line in record.lines)


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _go(plan: DrainPlan) -> str:
    return "goes" if len(plan.intent.hosts) == 1 else "go"
