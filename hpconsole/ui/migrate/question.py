"""What the Migrate dialog asks on a worker thread, and what the answer brings. No Qt; numpy comes later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.ui import format as fmt
from hpconsole.ui.migrate.view import HostDetail

if TYPE_CHECKING:
    from hpconsole.core.planning.migrate import HostChoice
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation
    from hpconsole.ui.migrate.survey import Survey


@dataclass(frozen=True)
class Question:
    """What to compute; calling it does so, on a worker thread. `known` is reused where only the highlight moved."""

    vm_uuids: tuple[str, ...]
    destination: str | None
    snapshot: ClusterSnapshot
    policy: Callable[[], Policy]
    reservations: Callable[[], Sequence[Reservation]]
    highlighted: str | None
    highlighted_vm: str
    known: Survey | None

    def __call__(self) -> Answer:
        """Compute. Raises: HpconsoleError."""
        # Imported here, on the worker thread: numpy comes with it.
        from hpconsole.ui.migrate import survey as surveys

        answer = self.known or surveys.survey(
            self.vm_uuids, self.destination, self.snapshot, self.policy(), self.reservations()
        )
        host = self.highlighted or first_destination(answer, self.vm_uuids, self.highlighted_vm)
        return Answer(self, answer, surveys.detail(answer, host, self.highlighted_vm) if host else None)


@dataclass(frozen=True)
class Answer:
    """What a question brought."""

    question: Question
    survey: Survey
    detail: HostDetail | None


def first_destination(survey: Survey, vm_uuids: tuple[str, ...], vm_uuid: str) -> str | None:
    """The host to look at before the user looks at one: where this VM would go, else the first of the list."""
    steps = survey.plan.steps if survey.plan is not None else ()
    for step in steps:
        if step.vm_uuid == vm_uuid:
            return step.destination
    hosts = in_order(survey, vm_uuids)
    return hosts[0].name if hosts else None


def in_order(survey: Survey, vm_uuids: tuple[str, ...]) -> tuple[HostChoice, ...]:
    """Suitable hosts as ranked; then the others, those with the fewest reasons first and the present host last."""
    hosts = survey.choices.hosts
    present = {vm.host for vm in (survey.snapshot.vms.get(uuid) for uuid in vm_uuids) if vm is not None}
    present = present if len(present) == 1 else set()
    away = {name for name, host in survey.snapshot.hosts.items() if host.link.state is not LinkState.CONNECTED}
    refused = sorted(
        (host for host in hosts if not host.is_suitable),
        key=lambda host: (host.name in present, len(host.refusals), host.name in away, fmt.natural(host.name)),
    )
    return (*(host for host in hosts if host.is_suitable), *refused)
