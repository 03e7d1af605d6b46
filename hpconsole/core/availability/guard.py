"""What happens by itself when hosts fail: they are judged, evacuated or fenced, and their VMs are restarted elsewhere.

Only the console that leads acts (`leadership`); all of them write down definitions and judge.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hpconsole.core.availability.availability import Availability
from hpconsole.core.availability.definitions import (
    DefinitionKeeper,
    StoredDefinition,
    stored_definitions,
    stored_topology,
)
from hpconsole.core.availability.evacuation import plan_evacuation
from hpconsole.core.availability.fencing import Power, switch_off
from hpconsole.core.availability.health import HealthState, HostHealth, judge_all
from hpconsole.core.availability.restart_plan import without_hosts
from hpconsole.core.availability.restarting import Loss, Restarter
from hpconsole.core.availability.settings import AvailabilitySettings, FenceDevice
from hpconsole.core.errors import HpconsoleError, InvalidXml, PlanOutOfDate, StepFailed
from hpconsole.core.host_status import HostDecision
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.model.host import Host, HostStatus, LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.planning.plan import Plan
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.reservations import Reservation

_log = logging.getLogger(__name__)

AGAIN_S = 60.0  # between two attempts to fence or to evacuate the same host


@dataclass(frozen=True, slots=True)
class Means:
    """A running console, as far as whoever looks after hosts needs it. Every function may be called from any thread."""

    pool: ConnectionPool
    availability: Availability
    snapshot: Callable[[], ClusterSnapshot]
    policy: Callable[[], Policy]
    reservations: Callable[[], Sequence[Reservation]]
    submit: Callable[[Plan], None]
    decisions: Callable[[], Mapping[str, HostDecision]]
    decide: Callable[[str, HostStatus, str], None]  # host, status, reason
    tell: Callable[[str, str, str], None]  # severity, sentence, subject
    refresh: Callable[[str], None]


class Guard:
    """One look at a time: `look` is called every few seconds by one thread.

    Args:
        may_act: Whether this console (still) leads; asked before everything that it does.
    """

    def __init__(
        self,
        means: Means,
        *,
        may_act: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._with = means
        self._may_act = may_act
        self._clock = clock
        self._now = now
        documents = means.availability.documents
        self._keeper = DefinitionKeeper(means.pool, documents, clock=clock)
        self._restarter = Restarter(
            means.pool, documents, may_act=may_act, tell=means.tell, clock=clock, refresh=means.refresh
        )
        self._lock = threading.Lock()
        self._health: Mapping[str, HostHealth] = {}
        self._fencing: dict[str, threading.Thread] = {}
        self._fenced_at_s: dict[str, float] = {}
        self._trouble_since_s: dict[str, float] = {}
        self._evacuated_at_s: dict[str, float] = {}
        self._said: dict[tuple[str, str], str] = {}  # (host, topic) -> the last sentence

    @property
    def health(self) -> Mapping[str, HostHealth]:
        """Every host as it was judged last. Threads: any."""
        return self._health

    def look(self) -> None:
        """Judge every host and do what is due.

        Raises:
            StorageError: the database fails; nothing is done by itself then.
        """
        snapshot, availability = self._with.snapshot(), self._with.availability
        if snapshot.taken_at is None:
            return
        settings = availability.settings()
        self._keeper.keep_up(snapshot)
        for host in availability.forget_proofs_of_answering():
            self._with.tell("info", f"{host} answers again, so it is not off any more.", host)
        for host in availability.watch_proofs():
            sentence = (
                f"Nobody watched {host} for a while, so it may have come back since it was off. Confirm it again."
            )
            self._with.tell("warning", sentence, host)
        off = {host: proof.sentence for host, proof in availability.off().items()}
        self._health = health = judge_all(snapshot, settings, off)
        self._note_troubles(health)
        if not self._may_act():
            return
        definitions = stored_definitions(availability.documents)
        self._fence_silent(health, settings, definitions, availability.fence_devices())
        if settings.restarts_automatically:
            self._restart(snapshot, settings, definitions)
        self._restarter.tidy(snapshot)
        self._leave_unfit(snapshot, health, settings)

    def close(self, timeout_s: float = 1.0) -> None:
        """Wait a moment for agents under way; those that take longer end by themselves."""
        with self._lock:
            threads = list(self._fencing.values())
        for thread in threads:
            thread.join(timeout_s)

    # --- hosts that are silent -------------------------------------------------------------------------------------

    def _fence_silent(
        self,
        health: Mapping[str, HostHealth],
        settings: AvailabilitySettings,
        definitions: Mapping[str, StoredDefinition],
        devices: Mapping[str, FenceDevice],
    ) -> None:
        now, decisions = self._now(), self._with.decisions()
        for host, its in health.items():
            if its.state is not HealthState.NOT_RESPONDING:
                self._said.pop((host, "silent"), None)
                continue
            names = sorted(d.name for d in definitions.values() if d.host == host and d.is_active)
            is_patient = its.silent_s(now) < settings.not_responding_after_s
            decided = decisions.get(host, HostDecision()).status
            if is_patient or not names or decided is HostStatus.MAINTENANCE:
                continue
            device = devices.get(host)
            if device is None or not settings.fences_automatically:
                sentence = (
                    f"{host} does not respond; {', '.join(names)} may still run there and so is not restarted. "
                    f"Switch {host} off and confirm it (hpconsole confirm-off {host})."
                )
                self._say_once(host, "silent", "error", sentence)
            elif self._clock() - self._fenced_at_s.get(host, float("-inf")) >= AGAIN_S:
                self._begin_fencing(device)

    def _begin_fencing(self, device: FenceDevice) -> None:
        host = device.host
        with self._lock:
            if host in self._fencing:
                return
            thread = threading.Thread(target=self._fence, args=(device,), name=f"hpc-fence-{host}", daemon=True)
            self._fencing[host] = thread
        self._fenced_at_s[host] = self._clock()
        self._say_once(host, "fence", "warning", f"{host} does not respond; {device.agent} is asked to switch it off.")
        thread.start()

    def _fence(self, device: FenceDevice) -> None:
        try:
            report = switch_off(device)
            if report.power is Power.OFF:
                self._with.availability.note_off(device.host, report.sentence)
                self._with.tell("warning", report.sentence, device.host)
            else:
                self._say_once(device.host, "fence", "error", f"{report.sentence} It is tried again.")
        except HpconsoleError as error:  # no agent, no password, no database
            self._say_once(device.host, "fence", "error", error.sentence)
        finally:
            with self._lock:
                self._fencing.pop(device.host, None)

    # --- VMs that are lost -----------------------------------------------------------------------------------------

    def _restart(
        self,
        snapshot: ClusterSnapshot,
        settings: AvailabilitySettings,
        definitions: Mapping[str, StoredDefinition],
    ) -> None:
        off = self._with.availability.off()
        losses: list[Loss] = []
        left = without_hosts(snapshot, off)
        vms, hosts = dict(left.vms), dict(left.hosts)
        for definition in definitions.values():
            proof = off.get(definition.host)
            incident = definition.died or (proof.incident if proof is not None and definition.is_active else "")
            seen = snapshot.vms.get(definition.vm_uuid)
            if not incident or (seen is not None and seen.is_running_somewhere and _answers(snapshot, seen.host)):
                continue
            try:
                vms[definition.vm_uuid] = definition.as_vm()
            except InvalidXml as error:
                self._say_once(definition.vm_uuid, "definition", "error", f"{definition.name}: {error.sentence}")
                continue
            losses.append(Loss(definition, incident, definition.host))
            self._complete(hosts, definition.host)
        if not losses:
            return
        decisions = self._with.decisions()
        empty = {host for host, decision in decisions.items() if decision.status is HostStatus.MAINTENANCE}
        promises = [promise for promise in self._with.reservations() if promise.host not in off]
        self._restarter.run(
            losses,
            replace(left, vms=vms, hosts=hosts),
            self._with.policy(),
            settings,
            need_not_answer={*off, *empty},
            reservations=promises,
        )

    def _complete(self, hosts: dict[str, Host], name: str) -> None:
        """Give a host that never answered this console the topology it had: pinnings are read from it."""
        host = hosts.get(name)
        if host is None or not host.topology.cpus:
            topology = stored_topology(self._with.availability.documents, name)
            if host is not None and topology is not None:
                hosts[name] = replace(host, topology=topology)

    # --- hosts that are not fit ------------------------------------------------------------------------------------

    def _note_troubles(self, health: Mapping[str, HostHealth]) -> None:
        now_s = self._clock()
        self._trouble_since_s = {
            host: self._trouble_since_s.get(host, now_s)
            for host, its in health.items()
            if its.state is HealthState.NON_OPERATIONAL
        }

    def _leave_unfit(
        self, snapshot: ClusterSnapshot, health: Mapping[str, HostHealth], settings: AvailabilitySettings
    ) -> None:
        decisions = self._with.decisions()
        unfit = frozenset(host for host, its in health.items() if its.state is HealthState.NON_OPERATIONAL)
        for host, its in health.items():
            decided = decisions.get(host, HostDecision()).status
            if its.state is HealthState.FIT and decided is HostStatus.NON_OPERATIONAL:
                self._with.decide(host, HostStatus.UP, "")
                self._said.pop((host, "evacuation"), None)
            if host not in unfit or decided not in (HostStatus.UP, HostStatus.NON_OPERATIONAL):
                continue
            if self._clock() - self._trouble_since_s[host] < settings.trouble_after_s:
                continue
            if decided is HostStatus.UP:
                self._with.decide(host, HostStatus.NON_OPERATIONAL, its.sentence)
                self._with.tell("error", f"{host} is non-operational. {its.sentence}", host)
            if snapshot.hosts[host].link.state is LinkState.CONNECTED:
                self._evacuate(its, settings, snapshot, unfit)

    def _evacuate(
        self, its: HostHealth, settings: AvailabilitySettings, snapshot: ClusterSnapshot, unfit: frozenset[str]
    ) -> None:
        host, now_s = its.host, self._clock()
        if now_s - self._evacuated_at_s.get(host, float("-inf")) < AGAIN_S or not snapshot.vms_on(host):
            return
        self._evacuated_at_s[host] = now_s
        reservations = self._with.reservations()
        found = plan_evacuation(its, settings.evacuation, snapshot, self._with.policy(), reservations, unfit=unfit)
        if found.plan is not None and self._may_act():
            try:
                self._with.submit(found.plan)
            except PlanOutOfDate as error:  # one of them is on its way already
                _log.info("%s: %s", host, error.sentence)
                return
            except (HpconsoleError, StepFailed) as error:
                self._say_once(host, "evacuation", "error", error.sentence)
                return
        if found.staying:
            self._say_once(host, "evacuation", "warning", " ".join(found.staying))

    def _say_once(self, subject: str, topic: str, severity: str, sentence: str) -> None:
        """Tell it if it is not what was said last about this."""
        with self._lock:
            if self._said.get((subject, topic)) == sentence:
                return
            self._said[subject, topic] = sentence
        self._with.tell(severity, sentence, subject)


def _answers(snapshot: ClusterSnapshot, host: str | None) -> bool:
    known = snapshot.hosts.get(host or "")
    return known is not None and known.link.state is LinkState.CONNECTED
