"""One round: at most one move for the whole cluster, with its reason, or an answer to *why nothing?* Pure.

Broken affinity rules come first, then the policy's balancer. Only running automatic-mode VMs are ever moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from hpconsole.core.balancing.enforcing import find_mend
from hpconsole.core.balancing.report import Cause, Recommendation, RoundReport
from hpconsole.core.balancing.resting import Rests
from hpconsole.core.balancing.worth import Duration, Judge, assumed_duration
from hpconsole.core.errors import PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import MigrationMode
from hpconsole.core.planning.migrate import MigrationIntent, plan_migration
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler import cpu_load
from hpconsole.core.scheduler.balancers import BY_NAME as BALANCERS
from hpconsole.core.scheduler.balancers import SAVING, Proposal, settled
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.engine import question_about, rank
from hpconsole.core.scheduler.parameter_titles import limit_text
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation

MOST_RANKED = 40  # VMs that are ranked in one round: the next one goes on with a cluster that has changed


@dataclass(slots=True)
class _Search:
    """What was looked at in a round: the answer to why nothing is moved."""

    resting: list[str] = field(default_factory=list)
    returning: list[str] = field(default_factory=list)
    unpaid: list[str] = field(default_factory=list)
    best_as_it_is: list[str] = field(default_factory=list)
    ranked: int = 0


def run_round(
    snapshot: ClusterSnapshot,
    policy: Policy,
    reservations: Sequence[Reservation] = (),
    *,
    rests: Rests,
    now: datetime | None = None,
    duration: Duration = assumed_duration,
) -> RoundReport:
    """The one move this round, if any.

    Args:
        rests: Who was moved by itself not long ago.
        now: What resting is counted from; the snapshot's time by default.
        duration: How long a migration is expected to take.

    Threads: any; some milliseconds for each proposal, so windows call it off their own thread.
    """
    at = now or snapshot.taken_at or datetime.now(UTC)
    if not snapshot.vms:
        return RoundReport(at, None, ("No VM is known yet.",), serial=snapshot.serial)
    move, reasons = _Round(snapshot, policy, tuple(reservations), rests, at).find(duration)
    return RoundReport(at, move, () if move else reasons, serial=snapshot.serial)


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round decides from."""

    snapshot: ClusterSnapshot
    policy: Policy
    reservations: tuple[Reservation, ...]
    rests: Rests
    now: datetime

    def find(self, duration: Duration) -> tuple[Recommendation | None, tuple[str, ...]]:
        """The move, or why there is none."""
        enforced = find_mend(self.snapshot, self.policy, self.reservations, self.rests, self.now)
        mend = enforced.mend
        if mend is None:
            move, reasons = self._balance(duration)
            return move, (*enforced.why_nothing, *reasons)
        rules = ", ".join(mend.groups)
        reason = f"{mend.vm.name} on {mend.source} breaks the affinity of {rules}; on {mend.destination} it is kept."
        found = self._recommend(Cause.AFFINITY, mend.vm.uuid, mend.destination, reason)
        return (None, (*enforced.why_nothing, found)) if isinstance(found, str) else (found, ())

    def _balance(self, duration: Duration) -> tuple[Recommendation | None, tuple[str, ...]]:
        balancer = BALANCERS.get(self.policy.balancer)
        if balancer is None or balancer.name == "None":
            return None, (f"The policy {self.policy.name} does not balance.",)
        running = tuple(vm for vm in self.snapshot.vms.values() if vm.is_running_somewhere)
        if not running:
            return None, ("No VM runs.",)
        question = question_about(running, self.snapshot, self.policy, self.reservations)
        judge = Judge(question, balancer.name, rest_s=self.rests.rest_s, duration=duration)
        search = _Search()
        for proposal in balancer.proposals(question):
            if search.ranked >= MOST_RANKED:
                break
            found = self._try(proposal, judge, search)
            if found is not None:
                return found, ()
        return None, _why_nothing(question, self.policy, search)

    def _try(self, proposal: Proposal, judge: Judge, search: _Search) -> Recommendation | None:
        vm = self.snapshot.vms[proposal.vm_uuid]
        source = vm.host or ""
        if self.rests.left_s(vm.uuid, self.now) > 0:
            search.resting.append(vm.name)
            return None
        others = [host for host in proposal.hosts if host != source]
        hosts = [host for host in others if not self.rests.is_return(vm.uuid, host, self.now)]
        if not hosts:
            search.returning.append(vm.name)
            return None
        worths = {host: judge.judge(vm, source, host) for host in hosts}
        paying = frozenset(host for host, worth in worths.items() if worth.pays)
        if not paying:
            search.unpaid.append(max(worths.values(), key=lambda worth: worth.gain - worth.cost).sentence)
            return None
        search.ranked += 1
        request = Request((vm.uuid,), only_hosts=paying | {source}, may_stay=True)
        destination = rank(request, self.snapshot, self.policy, self.reservations).best
        found: Recommendation | str = ""
        if destination is not None and destination != source:
            reason = f"{proposal.reason}: {worths[destination].sentence}."
            found = self._recommend(Cause.BALANCE, vm.uuid, destination, reason)
        if destination is None or isinstance(found, str):
            search.best_as_it_is.append(vm.name)
            return None
        worth = worths[destination]
        return replace(found, gain=worth.gain, cost=worth.cost)

    def _recommend(self, cause: Cause, vm_uuid: str, destination: str, reason: str) -> Recommendation | str:
        """The move as a plan; a sentence where it cannot be planned after all."""
        intent = MigrationIntent((vm_uuid,), destination=destination)
        try:
            plan = plan_migration(intent, self.snapshot, self.policy, self.reservations)
        except PlanningError as error:
            return error.sentence
        step = plan.steps[0]
        word = "Affinity" if cause is Cause.AFFINITY else "Balance"
        titled = Plan(f"{word}: {plan.title}", plan.steps, plan.based_on, reason=reason, warnings=plan.warnings)
        return Recommendation(cause, vm_uuid, step.vm_name, step.source, step.destination, reason, titled)


def _why_nothing(question: Question, policy: Policy, search: _Search) -> tuple[str, ...]:
    """What stands against a move, the nearest cause first."""
    found: list[str] = []
    quiet = settled(question)
    left_out = [question.columns.names[row] for row in np.flatnonzero(~quiet).tolist()]
    if search.resting:
        found.append(f"{_some(search.resting)} moved not long ago and rests.")
    if search.returning:
        found.append(f"{_some(search.returning)} would only go back where it came from.")
    if search.unpaid:
        found.append(f"It would not pay: {search.unpaid[0]}.")
    if search.best_as_it_is:
        found.append(f"{_some(search.best_as_it_is)} is best where it is, by the weights of the policy.")
    if left_out:
        found.append(f"Left out, because they are not in service or VMs are on the way: {_some(left_out)}.")
    if not found:
        found.append(_calm(question, policy, quiet))
        manual = [vm.name for vm in question.vms if vm.intent.migration_mode is not MigrationMode.AUTOMATIC]
        if manual:
            found.append(f"{len(manual)} VMs never move by themselves (manual or no migration): {_some(manual)}.")
    if policy.balancer == SAVING.name:
        found += _empty(question, quiet)
    return tuple(found)


def _empty(question: Question, quiet: Bools) -> list[str]:
    """Which hosts could be switched off, by hand: never all of those in service."""
    columns = question.columns
    is_empty = quiet & (columns.number("vm_count") == 0)
    names = [columns.names[row] for row in np.flatnonzero(is_empty).tolist()]
    if not names or len(names) >= int(columns.flag("is_candidate").sum()):
        return []
    some, it = (f"{names[0]} runs", "it") if len(names) == 1 else (f"{_some(names)} run", "they")
    return [f"{some} no VM: put into maintenance, {it} may be switched off by hand to save power."]


def _calm(question: Question, policy: Policy, quiet: Bools) -> str:
    load = np.where(quiet, cpu_load.effective_load_pct(question), np.nan)
    if not np.isfinite(load).any():
        return "No host says how busy it is."
    rows = np.flatnonzero(np.isfinite(load))
    busiest, calmest = rows[np.argmax(load[rows])], rows[np.argmin(load[rows])]
    given = policy.parameters
    told = (limit_text(one, given[one.name]) for one in BALANCERS[policy.balancer].parameters if one.name in given)
    limits = ", ".join(text for text in told if text)
    stated = f" ({limits})" if limits else ""
    names = question.columns.names
    return (
        f"No host is beyond the limits of {policy.name}{stated} with a VM that may move and a calmer host for it. "
        f"Busiest is {names[busiest]} ({load[busiest]:.0f} %), calmest {names[calmest]} ({load[calmest]:.0f} %)."
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(list(dict.fromkeys(names))[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
