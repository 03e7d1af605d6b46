"""Starts highly available VMs whose process is provably gone on another host: once, and never beside a running copy.

Before each start every host is asked anew who runs what. A host that does not answer and is not provably off could run
anything, so nothing is started until it answers, is fenced, or is confirmed to be off. What was begun is written down
first (a claim), so that a console that takes over knows. Locks and leases of a VM stay in its definition: virtlockd or
sanlock refuse a second start by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hpconsole.core.availability.definitions import StoredDefinition
from hpconsole.core.availability.proof import unprotected_of, why_not_restarted
from hpconsole.core.availability.restart_plan import Restart, plan_restarts
from hpconsole.core.availability.settings import AvailabilitySettings
from hpconsole.core.errors import ConnectionLost, HostUnreachable, HpconsoleError, HypervisorError
from hpconsole.core.execution.end_states import HostView
from hpconsole.core.hypervisor.domain_xml import with_placement
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import DomainRecord, Hypervisor
from hpconsole.core.keeping import Documents
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation

_log = logging.getLogger(__name__)

CLAIM_KIND = "ha_claim"  # one per VM that is being restarted or was, until its old host has been tidied up
_ASK_S = 5.0
_START_S = 60.0
_QUICK_TRIES = 10  # as in the reference (behaviour.md E5)


@dataclass(frozen=True, slots=True)
class Loss:
    """One VM that ended without being asked to. `old_host` is excluded while it is off; `incident` names the loss."""

    definition: StoredDefinition
    incident: str
    old_host: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What every host said just now: who has which VM, and which hosts said nothing."""

    records: Mapping[str, Mapping[str, DomainRecord]]  # host -> VM -> its line of the domain list
    silent: tuple[str, ...]

    def running_on(self, vm_uuid: str) -> tuple[str, ...]:
        """The hosts that have a process of this VM."""
        return tuple(
            host
            for host, records in self.records.items()
            if vm_uuid in records and HostView(host, record=records[vm_uuid]).is_active
        )


@dataclass(slots=True)
class _Tries:
    """How often one loss was tried. `hosts`: where it failed."""

    incident: str
    count: int = 0
    next_at_s: float = 0.0
    hosts: set[str] = field(default_factory=set)
    said: str = ""


class Restarter:
    """Tries to bring lost VMs back. For one thread at a time; `run` may take as long as the starts do.

    Args:
        may_act: Whether this console (still) leads; asked before every start.
        tell: Says something to the user: severity, sentence, VM's name.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        documents: Documents,
        *,
        may_act: Callable[[], bool],
        tell: Callable[[str, str, str], None],
        clock: Callable[[], float],
        refresh: Callable[[str], None] = lambda _host: None,
    ) -> None:
        self._pool = pool
        self._documents = documents
        self._may_act = may_act
        self._tell = tell
        self._clock = clock
        self._refresh = refresh
        self._tries: dict[str, _Tries] = {}
        self._said: set[str] = set()

    def run(
        self,
        losses: Sequence[Loss],
        left: ClusterSnapshot,
        policy: Policy,
        settings: AvailabilitySettings,
        *,
        need_not_answer: Collection[str],
        reservations: Sequence[Reservation] = (),
    ) -> None:
        """Start what is due.

        Args:
            losses: Every VM to be brought back.
            left: The cluster without the hosts that are off, and with the lost VMs as stopped ones.
            need_not_answer: Hosts that are provably off, or empty by decision (in maintenance).

        Raises:
            StorageError: the database fails; nothing more is started then.
        """
        self._forget({loss.definition.vm_uuid for loss in losses})
        due = [loss for loss in losses if self._is_due(loss)]
        if not due or not self._may_act():
            return
        where = self.ask_everywhere(need_not_answer)
        missing = [loss for loss in due if not self._is_back(loss, where)]
        if where.silent and missing:
            for loss in missing:
                self._wait(loss, settings, _silence(loss, where.silent))
            return
        free = {loss.definition.vm_uuid: loss for loss in self._not_barred(missing, left, settings)}
        tried = {uuid: frozenset(self._tries[uuid].hosts) for uuid in free}
        plan = plan_restarts(tuple(free), left, policy, reservations, tried=tried)
        for restart in plan.restarts:
            if not self._may_act():
                return
            self._start(free[restart.vm.uuid], restart, settings, where)
        for vm, ranking in plan.refused:
            loss = free[vm.uuid]
            self._wait(loss, settings, unprotected_of(vm, ranking, lost=loss.old_host).sentence)

    def ask_everywhere(self, need_not_answer: Collection[str]) -> Whereabouts:
        """Ask every host what it has, at this moment."""
        records: dict[str, Mapping[str, DomainRecord]] = {}
        silent: list[str] = []
        for host in self._pool.names():
            if host in need_not_answer and not self._is_connected(host):
                continue
            try:
                domains = self._pool.call(host, lambda at: at.sample().domains, deadline_s=_ASK_S)
            except (HypervisorError, TimeoutError) as error:
                _log.info("%s could not be asked: %s", host, error)
                if host not in need_not_answer:
                    silent.append(host)
            else:
                records[host] = {record.uuid: record for record in domains}
        return Whereabouts(records, tuple(silent))

    def _is_connected(self, host: str) -> bool:
        try:
            return self._pool.link(host).state is LinkState.CONNECTED
        except HostUnreachable:  # removed a moment ago
            return False

    def tidy(self, snapshot: ClusterSnapshot) -> None:
        """Remove what an old host still has of VMs that were restarted elsewhere, once it answers again.

        Raises:
            StorageError: the database fails.
        """
        for uuid, body in self._documents.all(CLAIM_KIND).items():
            vm, old = snapshot.vms.get(uuid), str(body.get("old_host", ""))
            if vm is None or not vm.state.is_active or body.get("phase") != "started":
                continue
            if old in vm.also_running_on or (vm.host == old and vm.also_running_on):
                sentence = (
                    f"{vm.name} runs on {vm.host} and on {', '.join(vm.also_running_on)}: stop the older copy now."
                )
                if sentence not in self._said:
                    self._said.add(sentence)
                    self._tell("error", sentence, vm.name)
            elif old in vm.other_hosts and self._undefine(old, uuid):
                self._tell(
                    "info", f"{old} forgot its old definition of {vm.name}, which runs on {vm.host} now.", vm.name
                )
                self._documents.remove(CLAIM_KIND, uuid)
                self._refresh(old)

    # --- one VM ----------------------------------------------------------------------------------------------------

    def _is_due(self, loss: Loss) -> bool:
        uuid = loss.definition.vm_uuid
        tries = self._tries.get(uuid)
        if tries is None or tries.incident != loss.incident:
            tries = self._tries[uuid] = _Tries(loss.incident)
        return self._clock() >= tries.next_at_s

    def _is_back(self, loss: Loss, where: Whereabouts) -> bool:
        """Whether some host runs it, started by us or by anybody else."""
        hosts = where.running_on(loss.definition.vm_uuid)
        if hosts:
            for host in hosts:
                self._refresh(host)
        return bool(hosts)

    def _not_barred(self, losses: Sequence[Loss], left: ClusterSnapshot, settings: AvailabilitySettings) -> list[Loss]:
        free: list[Loss] = []
        for loss in losses:
            vm = left.vms.get(loss.definition.vm_uuid)
            reason = "It is not known any more." if vm is None else why_not_restarted(vm)
            if reason:
                self._wait(loss, settings, f"{loss.definition.name} is not restarted. {reason}")
            else:
                free.append(loss)
        return free

    def _start(self, loss: Loss, restart: Restart, settings: AvailabilitySettings, where: Whereabouts) -> None:
        """Claim, define, start. Whatever fails leaves the VM as it was, or a claim that says where to look."""
        uuid, name, host = loss.definition.vm_uuid, loss.definition.name, restart.host
        claim = {
            "incident": loss.incident,
            "old_host": loss.old_host,
            "host": host,
            "phase": "starting",
            "at": datetime.now(UTC).isoformat(),
        }
        if not self._documents.add(CLAIM_KIND, uuid, claim):
            # An earlier attempt: every host answered a moment ago and none runs it, so nothing came of it.
            self._documents.save(CLAIM_KIND, uuid, claim)
        had_definition = uuid in where.records.get(host, {})
        xml = with_placement(loss.definition.xml, restart.placement)
        try:
            self._pool.call(host, lambda at: _define_and_start(at, xml, uuid), deadline_s=_START_S)
        except (HostUnreachable, ConnectionLost, TimeoutError) as error:
            _log.warning("%s on %s: %s", name, host, error)
            self._wait(loss, settings, f"{host} fell silent while {name} was started there; it is asked again first.")
            return
        except HpconsoleError as error:
            if not had_definition:
                self._undefine(host, uuid)
            tries = self._tries[uuid]
            tries.hosts.add(host)
            self._tell("warning", f"{name} could not be started on {host}: {error.sentence} Trying another host.", name)
            return
        self._documents.save(CLAIM_KIND, uuid, {**claim, "phase": "started"})
        self._tries.pop(uuid, None)
        lost = loss.definition.lost_graphics
        note = " Its graphics console had a password and was left out: add it again." if lost else ""
        self._tell("warning", f"{name} was restarted on {host}: {_why(loss)}{note}", name)
        self._refresh(host)

    def _undefine(self, host: str, uuid: str) -> bool:
        try:
            self._pool.call(host, lambda at: at.undefine(uuid), deadline_s=_ASK_S)
        except (HpconsoleError, TimeoutError) as error:
            _log.info("%s keeps a definition of %s: %s", host, uuid, error)
            return False
        return True

    def _wait(self, loss: Loss, settings: AvailabilitySettings, sentence: str) -> None:
        """Try again later, and say once why."""
        tries = self._tries.setdefault(loss.definition.vm_uuid, _Tries(loss.incident))
        tries.count += 1
        tries.hosts.clear()
        pause_s = settings.first_retry_s if tries.count <= _QUICK_TRIES else settings.later_retry_s
        tries.next_at_s = self._clock() + pause_s
        if tries.said != sentence:
            tries.said = sentence
            self._tell("error", sentence, loss.definition.name)

    def _forget(self, known: Collection[str]) -> None:
        self._tries = {uuid: tries for uuid, tries in self._tries.items() if uuid in known}


def _define_and_start(at: Hypervisor, xml: str, uuid: str) -> None:
    """On the host's lane."""
    at.define(xml)
    at.start(uuid)


def _why(loss: Loss) -> str:
    if loss.definition.died == loss.incident:
        return f"it had ended on {loss.old_host} without being asked to."
    return f"its host {loss.old_host} is off."


def _silence(loss: Loss, silent: Sequence[str]) -> str:
    hosts = ", ".join(silent)
    return (
        f"{loss.definition.name} is not restarted yet: {hosts} cannot be asked, and it might run there. "
        f"It starts once {hosts} answers, is fenced, or is confirmed to be off (hpconsole confirm-off)."
    )
