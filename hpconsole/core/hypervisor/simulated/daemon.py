"""One simulated host's libvirtd: its domains and what may be done with them. Guarded by the cluster's lock.

Whether it answers at all (frozen, crashed) is the business of the connection, `host.SimulatedHost`.
"""

from __future__ import annotations

import uuid as uuids

from hpconsole.core.errors import VmNotFound
from hpconsole.core.hypervisor.port import DomainEvent, DomainRecord, LeaseRecord
from hpconsole.core.hypervisor.safe_xml import Element, parse
from hpconsole.core.hypervisor.simulated.accounting import Ledger
from hpconsole.core.hypervisor.simulated.demand import Demand, read_domain
from hpconsole.core.hypervisor.simulated.domain import Domain
from hpconsole.core.hypervisor.simulated.guests import live_xml
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err, Lifecycle, Paused, Running, Shutoff, State
from hpconsole.core.hypervisor.simulated.machine_xml import every_flag, flags, machine_types, usable_models
from hpconsole.core.hypervisor.simulated.machines import HostModel
from hpconsole.core.hypervisor.simulated.refusals import refused
from hpconsole.core.hypervisor.simulated.world import World

SHUT_DOWN_S = 2.0  # what a guest takes to shut down when asked


class Daemon:
    """The state of one host. `generation` rises when the host boots: older connections are dead then."""

    def __init__(self, world: World, model: HostModel) -> None:
        self.world = world
        self.model = model
        self.uuid = str(uuids.uuid5(uuids.NAMESPACE_DNS, f"{model.name}.{world.seed}.simulated"))
        self.ledger = Ledger(model)
        self.domains: dict[str, Domain] = {}
        self.is_frozen = False
        self.is_crashed = False
        self.boots = 1
        self.untold: list[DomainEvent] = []  # held back while frozen
        self.lease: LeaseRecord | None = None  # on disk: outlives a crash
        self.busy_s = 0.0  # CPU time of everything on the host, for its own counters
        self.sampled_at = 0.0
        self._records: tuple[DomainRecord, ...] | None = None
        self._last_id = 0

    @property
    def name(self) -> str:
        """The host's name."""
        return self.model.name

    @property
    def records(self) -> tuple[DomainRecord, ...]:
        """The domain list; the same object until something changes."""
        if self._records is None:
            self._records = tuple(domain.record for domain in self.domains.values())
        return self._records

    def changed(self) -> None:
        """A domain came, went, or is in another state: the list is stale."""
        self._records = None
        self.world.lock.notify_all()

    def domain(self, uuid: str) -> Domain:
        """The domain of this UUID.

        Raises:
            VmNotFound: there is none.
        """
        try:
            return self.domains[uuid]
        except KeyError:
            words = f"Domain not found: no domain with matching uuid '{uuid}'"
            sentence = f"{self.name} knows no VM with the UUID {uuid}. It may have been moved or deleted."
            raise VmNotFound(sentence, detail=words, subject=uuid) from None

    def active(self, uuid: str) -> Domain:
        """The domain of this UUID, which must run.

        Raises:
            VmNotFound: there is none.
            OperationRefused: it does not run.
        """
        domain = self.domain(uuid)
        if not domain.is_active:
            raise refused(self.name, Err.OPERATION_INVALID, "domain is not running", vm=domain.name)
        return domain

    def changeable(self, uuid: str) -> Domain:
        """A running domain that no migration holds.

        Raises:
            VmNotFound: there is none.
            OperationRefused: it does not run, or is being migrated.
        """
        domain = self.active(uuid)
        self.check_not_migrating(domain)
        return domain

    def check_not_migrating(self, domain: Domain) -> None:
        """Refuse, in libvirt's words, what cannot be done during a migration."""
        if domain.migration is not None:
            words = "cannot acquire state change lock (held by monitor=remoteDispatchDomainMigratePerform3Params)"
            raise refused(self.name, Err.OPERATION_TIMEOUT, words, vm=domain.name)

    # --- definitions -------------------------------------------------------------

    def define(self, xml: str) -> str:
        """Define or redefine; the running domain goes on as it is."""
        root, demand = read_domain(self.name, xml)
        if not demand.uuid:
            made = str(uuids.uuid5(uuids.NAMESPACE_DNS, f"{self.name}.{self.world.seed}.{demand.name}"))
            root, demand = read_domain(self.name, xml.replace("</name>", f"</name><uuid>{made}</uuid>", 1))
        return self.define_parsed(root, demand).uuid

    def define_parsed(self, root: Element, demand: Demand) -> Domain:
        """The same, of a document that was read."""
        self.check_name_is_free(demand)
        present = self.domains.get(demand.uuid)
        domain = self.adopt(demand) if present is None else present
        domain.define(root, demand)
        detail = 0 if present is None else 1  # added, updated
        self.changed()
        self.world.tell_lifecycle(self, domain, Lifecycle.DEFINED, detail)
        return domain

    def adopt(self, demand: Demand) -> Domain:
        """Make room for a domain that is new here."""
        character, load = self.world.load_of(demand)
        domain = Domain(demand, character, load)
        self.domains[demand.uuid] = domain
        self.changed()
        return domain

    def undefine(self, uuid: str) -> None:
        """Forget the definition; a running VM goes on as a transient one."""
        domain = self.domain(uuid)
        if domain.definition is None:
            raise refused(self.name, Err.OPERATION_INVALID, "cannot undefine transient domain", vm=domain.name)
        domain.definition = None
        self.world.tell_lifecycle(self, domain, Lifecycle.UNDEFINED, 0)
        self.forget_if_gone(domain)

    def forget_if_gone(self, domain: Domain) -> None:
        """A domain that is neither running nor defined does not exist."""
        if domain.definition is None and not domain.is_active:
            self.domains.pop(domain.uuid, None)
        self.changed()

    def check_name_is_free(self, demand: Demand) -> None:
        """Refuse a name or UUID that belongs to another domain."""
        for other in self.domains.values():
            if (other.name == demand.name) != (other.uuid == demand.uuid):
                words = f"domain '{other.name}' already exists with uuid {other.uuid}"
                raise refused(self.name, Err.OPERATION_FAILED, words, vm=demand.name)

    # --- life --------------------------------------------------------------------

    def check_can_run(self, demand: Demand) -> None:
        """Refuse what the machine has not: nodes and CPUs by number, a CPU model, flags, networks."""
        self.ledger.check_nodes(demand)
        missing = demand.cpus - self.model.online
        if missing:
            words = f"cannot set CPU affinity on process {4000 + self._last_id}: Invalid argument"
            raise refused(self.name, Err.SYSTEM_ERROR, words, vm=demand.name)
        have = frozenset(flags(self.model.generation))
        lacking = sorted((demand.required_flags & every_flag()) - have)
        if lacking:
            words = f"Host CPU does not provide required features: {', '.join(lacking)}"
            raise refused(self.name, Err.CPU_INCOMPATIBLE, words, vm=demand.name)
        if demand.cpu_mode == "custom" and demand.cpu_model not in usable_models(self.model.generation) | {""}:
            words = f"Host CPU does not provide all features of the model {demand.cpu_model}"
            raise refused(self.name, Err.CPU_INCOMPATIBLE, words, vm=demand.name)
        if demand.machine not in {name for row in machine_types(self.model) for name in row[:2]} | {""}:
            words = f"Emulator '/usr/bin/qemu-system-x86_64' does not support machine type '{demand.machine}'"
            raise refused(self.name, Err.CONFIG_UNSUPPORTED, words, vm=demand.name)
        for network in demand.networks:
            if network not in self.model.networks:
                words = f"no network with matching name '{network}'"
                raise refused(self.name, Err.NO_NETWORK, words, vm=demand.name)

    def start(self, uuid: str, *, paused: bool = False) -> None:
        """Boot a defined domain."""
        domain = self.domain(uuid)
        if domain.is_active or domain.definition is None:
            raise refused(self.name, Err.OPERATION_INVALID, "domain is already running", vm=domain.name)
        definition, number = domain.definition, self.next_id()
        domain.demand = read_domain(self.name, definition)[1]
        self.check_can_run(domain.demand)
        self.ledger.claim(domain.demand)
        domain.be_live(lambda: live_xml(parse(definition), number, self.model.generation))
        if paused:
            domain.enter(State.PAUSED, Paused.USER, self.world.now_s)
        else:
            domain.enter(State.RUNNING, Running.BOOTED, self.world.now_s)
        self.changed()
        self.world.tell_lifecycle(self, domain, Lifecycle.STARTED, 0)

    def next_id(self) -> int:
        """The number of the next QEMU process."""
        self._last_id += 1
        return self._last_id

    def shut_down(self, uuid: str) -> None:
        """Ask the guest; a running one follows after a while, a paused one does not hear."""
        domain = self.changeable(uuid)
        process = domain.started_s

        def finish() -> None:
            if domain.started_s == process and domain.state is State.RUNNING and domain.migration is None:
                self.stop(domain, Shutoff.SHUTDOWN, 0)

        self.world.after(SHUT_DOWN_S, finish)

    def force_off(self, uuid: str) -> None:
        """End the process; a migration of it fails."""
        domain = self.active(uuid)
        if domain.migration is not None:
            domain.migration.lose_guest(self)
        if domain.is_active:
            self.stop(domain, Shutoff.DESTROYED, 1)

    def stop(self, domain: Domain, reason: Shutoff, event_detail: int) -> None:
        """The process is gone: give its memory back; a transient domain goes with it."""
        self.ledger.release(domain.uuid)
        domain.live = None
        domain.enter(State.SHUTOFF, reason, self.world.now_s)
        self.world.tell_lifecycle(self, domain, Lifecycle.STOPPED, event_detail)
        self.forget_if_gone(domain)

    def suspend(self, uuid: str) -> None:
        """Pause the vCPUs; also during a migration, which then has nothing new to send."""
        domain = self.active(uuid)
        if domain.state is State.RUNNING:
            self.pause(domain, Paused.USER, 0)

    def resume(self, uuid: str) -> None:
        """Let the vCPUs run."""
        domain = self.active(uuid)
        if domain.state is not State.PAUSED:
            raise refused(self.name, Err.OPERATION_INVALID, "domain is already running", vm=domain.name)
        if domain.migration is not None and domain.migration.incoming is domain:
            self.check_not_migrating(domain)
        self.run(domain, Running.UNPAUSED, 0)

    def pause(self, domain: Domain, reason: Paused, event_detail: int) -> None:
        """Change to paused and tell it."""
        domain.enter(State.PAUSED, reason, self.world.now_s)
        if domain.migration is not None:
            domain.migration.memory.is_dirtying = False
        self.changed()
        self.world.tell_lifecycle(self, domain, Lifecycle.SUSPENDED, event_detail)

    def run(self, domain: Domain, reason: Running, event_detail: int) -> None:
        """Change to running and tell it."""
        domain.enter(State.RUNNING, reason, self.world.now_s)
        if domain.migration is not None:
            domain.migration.memory.is_dirtying = True
        self.changed()
        self.world.tell_lifecycle(self, domain, Lifecycle.RESUMED, event_detail)
