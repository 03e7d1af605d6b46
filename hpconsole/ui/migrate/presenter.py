"""Migrate VM(s) without the window: what is chosen, what is known of it, what is shown. No Qt.

Questions are answered on a worker thread: `next_question()` says what to ask, calling the question computes, and
`take_answer()` brings the outcome back. While one is under way everything else goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hpconsole.core.errors import HpconsoleError, PlanningError
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Plan
from hpconsole.ui import format as fmt
from hpconsole.ui.migrate import wording
from hpconsole.ui.migrate.question import Answer, Question, first_destination, in_order
from hpconsole.ui.migrate.view import HostDetail, HostLine, MigrateView, VmLine

if TYPE_CHECKING:
    from hpconsole.core.planning.migrate import HostChoice
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation


class MigratePresenter:
    """Built for some VMs over a snapshot.

    Args:
        vm_uuids: What is to move, at least one.
        policy: The scheduling policy; called on a worker thread.
        reservations: What is promised to others at this moment; called on a worker thread.
    """

    def __init__(
        self,
        vm_uuids: tuple[str, ...],
        snapshot: ClusterSnapshot,
        policy: Callable[[], Policy],
        reservations: Callable[[], Sequence[Reservation]] = tuple,
    ) -> None:
        self._vm_uuids = vm_uuids
        self._names = {uuid: snapshot.vms[uuid].name for uuid in vm_uuids if uuid in snapshot.vms}
        self._snapshot = snapshot
        self._policy = policy
        self._reservations = reservations
        self._is_automatic = True
        self._highlighted: str | None = None  # by the user
        self._highlighted_vm = vm_uuids[0]
        self._answer: Answer | None = None
        self._error = ""
        self._is_survey_wanted = True
        self._is_detail_wanted = False
        self._is_computing = False

    # What the user does

    def pick_automatic(self) -> None:
        """Let the scheduler choose."""
        if not self._is_automatic:
            self._is_automatic = True
            self._is_survey_wanted = True

    def pick_highlighted(self) -> None:
        """Go to the highlighted host."""
        if self._is_automatic:
            self._is_automatic = False
            self._highlighted = self._shown_host()
            self._is_survey_wanted = True

    def highlight(self, host: str) -> None:
        """Look at this host; where the user chooses the host, also go there."""
        if host != self._shown_host() or self._highlighted is None:
            self._highlighted = host
            self._is_detail_wanted = True
            self._is_survey_wanted |= not self._is_automatic

    def highlight_vm(self, vm_uuid: str) -> None:
        """Look at this VM's pinning."""
        if vm_uuid != self._highlighted_vm:
            self._highlighted_vm = vm_uuid
            self._is_detail_wanted = True

    def refresh(self, snapshot: ClusterSnapshot) -> None:
        """The cluster changed: what the user chose stays, and is judged anew."""
        if snapshot.serial != self._snapshot.serial:
            self._snapshot = snapshot
            self._is_survey_wanted = True

    # What is computed

    @property
    def is_hurried(self) -> bool:
        """Whether the user waits for the next answer (a gesture), rather than a poll having come in."""
        known = self._answer
        is_stale = known is None or known.question.destination != self._destination
        return is_stale or self._is_detail_wanted

    def next_question(self) -> Question | None:
        """What to compute now; None while one is under way or nothing is new."""
        if self._is_computing or not (self._is_survey_wanted or self._is_detail_wanted):
            return None
        known = None if self._is_survey_wanted or self._answer is None else self._answer.survey
        self._is_computing = True
        self._is_survey_wanted = self._is_detail_wanted = False
        return Question(
            self._vm_uuids,
            self._destination,
            self._snapshot,
            self._policy,
            self._reservations,
            self._highlighted,
            self._highlighted_vm,
            known,
        )

    def take_answer(self, answer: Answer) -> None:
        """A question was answered."""
        self._is_computing = False
        self._error = ""
        self._answer = answer

    def take_failure(self, error: HpconsoleError) -> None:
        """A question could not be answered."""
        self._is_computing = False
        self._error = error.sentence

    # What is shown

    def plan(self) -> Plan:
        """What Migrate would do now.

        Raises:
            PlanningError: it is not possible now; the view says why.
        """
        plan = self.present_plan
        if plan is None:
            raise PlanningError(self.view().problem or "The hosts are still being checked. Nothing was changed.")
        return plan

    def view(self) -> MigrateView:
        """Everything the dialog shows."""
        plan = self.present_plan
        hosts = self._host_lines(plan)
        shown = self._shown_host()
        highlighted = next((line for line in hosts if line.name == shown), None)
        return MigrateView(
            title=self._title(),
            vms=self._vm_lines(plan),
            is_automatic=self._is_automatic,
            automatic_text=self._automatic_text(plan),
            chosen_text=wording.chosen(highlighted, self._there(shown), len(self._vm_uuids)),
            status=self._status(hosts),
            is_computing=self._is_computing and self._answer is None,
            hosts=hosts,
            highlighted=highlighted,
            highlighted_vm=self._highlighted_vm,
            detail=self._detail(shown),
            problem=self._problem(),
            warnings=plan.warnings if plan is not None else (),
            button_text=wording.button(plan),
            can_migrate=plan is not None,
        )

    @property
    def _destination(self) -> str | None:
        return None if self._is_automatic else self._highlighted

    def _shown_host(self) -> str | None:
        if self._highlighted is not None:
            return self._highlighted
        if self._answer is None:
            return None
        return first_destination(self._answer.survey, self._vm_uuids, self._highlighted_vm)

    @property
    def present_plan(self) -> Plan | None:
        """The plan, if it is for what is chosen now."""
        answer = self._answer
        if answer is None or self._error or answer.survey.destination != self._destination:
            return None
        return answer.survey.plan

    def _detail(self, shown: str | None) -> HostDetail | None:
        detail = self._answer.detail if self._answer is not None else None
        is_of_this = detail is not None and detail.host == shown and detail.vm_uuid == self._highlighted_vm
        return detail if is_of_this else None

    def _title(self) -> str:
        if len(self._vm_uuids) == 1:
            vm = self._snapshot.vms.get(self._vm_uuids[0])
            name = self._names.get(self._vm_uuids[0], "VM")
            return f"Migrate {name}, which runs on {vm.host}" if vm is not None else f"Migrate {name}"
        return f"Migrate {len(self._vm_uuids)} VMs: {fmt.names(tuple(self._names.values()))}"

    def _vm_lines(self, plan: Plan | None) -> tuple[VmLine, ...]:
        destinations = {step.vm_uuid: step.destination for step in plan.steps} if plan is not None else {}
        lines = []
        for uuid in self._vm_uuids:
            vm = self._snapshot.vms.get(uuid)
            name = self._names.get(uuid, uuid)
            remark = ""
            if plan is not None and uuid not in destinations:
                # Sentences of the plan begin with the VM's name or hold it; only whole names count.
                said = [text for text in plan.warnings if name in text.replace(";", " ").replace(".", " ").split()]
                is_there = vm is not None and not self._is_automatic and vm.host == self._destination
                remark = "already there" if is_there else said[0] if said else "stays where it is"
            lines.append(VmLine(uuid, name, (vm.host or "") if vm else "", destinations.get(uuid, ""), remark))
        return tuple(lines)

    def _host_lines(self, plan: Plan | None) -> tuple[HostLine, ...]:
        destinations = {step.destination for step in plan.steps} if plan is not None else set()
        answer = self._answer
        choices = in_order(answer.survey, self._vm_uuids) if answer is not None else ()
        lines = []
        for place, choice in enumerate(choices):
            if choice.name in self._snapshot.hosts:
                rank = place + 1 if choice.is_suitable else None
                lines.append(self._line(choice.name, rank, choice, choice.name in destinations))
        known = {line.name for line in lines}
        rest = sorted((name for name in self._snapshot.hosts if name not in known), key=fmt.natural)
        return (*lines, *(self._line(name, None, None, is_destination=False) for name in rest))

    def _line(self, name: str, rank: int | None, choice: HostChoice | None, is_destination: bool) -> HostLine:
        host = self._snapshot.hosts[name]
        return HostLine(
            name=name,
            rank=rank,
            is_suitable=choice is not None and choice.is_suitable,
            is_known=choice is not None,
            is_destination=is_destination,
            score=choice.score if choice is not None else 0.0,
            verdict=self._verdict(choice),
            parts=choice.parts if choice is not None else (),
            refusals=choice.refusals if choice is not None else (),
            will_help=choice.will_help if choice is not None else "",
            cpu_pct=host.usage.cpu_pct,
            memory_free_kib=host.usage.memory_free_kib,
            memory_kib=host.memory_kib,
        )

    def _verdict(self, choice: HostChoice | None) -> str:
        if choice is None or self._answer is None:
            return "checking…"
        suitable = [other for other in self._answer.survey.choices.hosts if other.is_suitable]
        if suitable == [choice]:
            return f"The only host that can take {wording.them(len(self._vm_uuids))}"
        return wording.merits(choice, suitable) if choice.is_suitable else wording.objection(choice)

    def _automatic_text(self, plan: Plan | None) -> str:
        choices = self._answer.survey.choices.hosts if self._answer is not None else ()
        if not self._is_automatic:
            is_any = any(choice.is_suitable for choice in choices)
            return "The host that is best when you press Migrate." if is_any else ""
        if plan is None:
            return "" if self._answer is not None else "The best host is being looked for…"
        return wording.automatic(plan, len(self._vm_uuids), choices, self._snapshot.hosts)

    def _there(self, host: str | None) -> int:
        """How many of the VMs are on this host."""
        vms = (self._snapshot.vms.get(uuid) for uuid in self._vm_uuids)
        return sum(vm is not None and vm.host == host for vm in vms)

    def _status(self, hosts: tuple[HostLine, ...]) -> str:
        if self._answer is None:
            return f"Checking {fmt.count(len(self._snapshot.hosts), 'host')}…"
        return wording.status(hosts, len(self._vm_uuids), self._names.get(self._vm_uuids[0], "the VM"))

    def _problem(self) -> str:
        if self._error or self._answer is None:
            return self._error
        survey = self._answer.survey
        if survey.destination != self._destination:
            return ""
        if survey.plan is None and not self._is_automatic and self._highlighted is not None:
            return survey.problem if len(self._vm_uuids) > 1 else self._why_not(self._highlighted) or survey.problem
        return survey.problem

    def _why_not(self, host: str) -> str:
        """In short: the whole list of reasons stands beside it."""
        choices = self._answer.survey.choices.hosts if self._answer is not None else ()
        choice = next((choice for choice in choices if choice.name == host), None)
        if choice is None or choice.is_suitable or not choice.refusals:
            return ""
        return f"{self._names.get(self._vm_uuids[0], 'The VM')} cannot go to {host}: {wording.objection(choice)}"
