"""Checks a migration before anything moves: what the snapshot knows, and what only the two hosts can answer.

Asks, changes nothing. Blocks for as long as the hosts take: never on the thread of a window.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpconsole.core.errors import HpconsoleError, OperationRefused, PlanOutOfDate
from hpconsole.core.execution.clock_check import clock_findings
from hpconsole.core.execution.reaching import ReachProbe
from hpconsole.core.execution.routes import routes
from hpconsole.core.execution.storage_check import storage_findings
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.hypervisor.port import MigrationTransport
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.migration_options import DEFAULT_OPTIONS, MigrationOptions
from hpconsole.core.planning.migration_threads import UNCHANGED, thread_places
from hpconsole.core.planning.preflight_findings import Finding, Preflight, Severity, findings_of, in_order
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.scheduler.units import Refusal

_CPU = re.compile(r"<cpu\b[^>]*?(?:/>|>.*?</cpu>)", re.DOTALL)
_HOST_MODEL = re.compile(r"<mode name=['\"]host-model['\"] supported=['\"]yes['\"]>(.*?)</mode>", re.DOTALL)
_MODEL = re.compile(r"<model\b[^>]*>[^<]*</model>|<vendor>[^<]*</vendor>|<feature\b[^>]*/>")


class Checker:
    """Preflight checks over the connected hosts. Threads: any."""

    def __init__(self, pool: ConnectionPool, *, call_s: float = 10.0) -> None:
        self._pool = pool
        self._call_s = call_s
        self._reach = ReachProbe(pool, wait_s=call_s)

    def check(
        self,
        vm_uuid: str,
        destination: str,
        snapshot: ClusterSnapshot,
        *,
        policy: Policy,
        reservations: Sequence[Reservation] = (),
        options: MigrationOptions = DEFAULT_OPTIONS,
    ) -> Preflight:
        """Every finding about moving this VM there, errors first.

        Raises:
            PlanOutOfDate: there is no such VM.
        """
        vm = snapshot.vms.get(vm_uuid)
        if vm is None:
            raise PlanOutOfDate(f"There is no VM {vm_uuid} any more.", subject=vm_uuid)
        ranking = rank(Request((vm_uuid,)), snapshot, policy, reservations)
        refusals: tuple[Refusal, ...] = ()
        will_help = ""
        if destination in ranking.refused:
            refusals, will_help = ranking.refusals(destination), ranking.would_help(destination)
        place = ranking.placement(destination, vm_uuid) if destination in ranking.accepted else None
        threads = thread_places(vm, place, snapshot) if isinstance(place, Placement) else UNCHANGED
        found = list(findings_of(vm, destination, snapshot, refusals, options, will_help=will_help, threads=threads))
        if options.problem():
            found.append(Finding("options", Severity.ERROR, options.problem(), "Change the options."))
        if vm.host is not None and destination in snapshot.hosts and vm.host in self._pool.names():
            found += [*self._of_cpu(vm, destination), *self._of_clock(vm, destination)]
            found += storage_findings(self._pool, vm, destination, deadline_s=self._call_s)
            is_hopeless = any(one.severity is Severity.ERROR for one in found)
            found += self._of_way(vm, destination, options, may_try=not is_hopeless)
        return Preflight(vm.uuid, vm.name, vm.host or "", destination, in_order(found))

    def _of_way(self, vm: Vm, destination: str, options: MigrationOptions, *, may_try: bool) -> list[Finding]:
        """Which way memory would take, whether the source gets there (tried, if `may_try`), whether it is protected."""
        source = vm.host or ""
        ways = routes(self._pool.uri(source), self._pool.uri(destination))
        first = ways[0]
        found = []
        if first.transport is MigrationTransport.PEER_TO_PEER and may_try:
            found.append(self._reach.finding(vm.uuid, source, destination, first))
        elif first.transport is MigrationTransport.PEER_TO_PEER:
            to = first.migrate_uri or "the address that its libvirt names"
            words = f"{source} connects to {first.destination_uri} and sends the memory to {to}."
            found.append(Finding("address", Severity.NOTE, words))
        else:
            words = (
                f"The address of {destination} means this machine only, so this console carries the migration: it ends "
                "if the console does."
            )
            remedy = f"Add {destination} with an address that {source} can use."
            found.append(Finding("address", Severity.NOTE, words, remedy))
        if not options.tls and not self._pool.link(source).is_encrypted:
            words = f"The memory of {vm.name} crosses the network unencrypted."
            found.append(Finding("encryption", Severity.NOTE, words))
        return found

    def _of_clock(self, vm: Vm, destination: str) -> list[Finding]:
        """Ask both hosts for their TSC, where the guest depends on it."""
        source, uuid = vm.host or "", vm.uuid
        try:
            xml = self._pool.call(source, lambda host: host.domain_xml(uuid), deadline_s=self._call_s)
            if "tsc" not in xml and not vm.intent.needs_tsc_frequency:
                return []
            here, there = (
                self._pool.call(name, lambda host: host.facts().capabilities_xml, deadline_s=self._call_s)
                for name in (source, destination)
            )
            return clock_findings(vm, destination, xml, here, there)
        except HpconsoleError as error:
            words = f"The clocks of the two hosts could not be compared: {error.sentence}"
            return [Finding("tsc", Severity.WARNING, words, "Check again when both hosts answer.")]

    def _of_cpu(self, vm: Vm, destination: str) -> list[Finding]:
        """Ask the destination's hypervisor whether it can give the guest the CPU it sees now."""
        try:
            cpu = self._expanded_cpu(vm)
            if cpu is None:
                return []
            problem = self._pool.call(
                destination,
                lambda host: host.compare_cpu(cpu, arch=vm.arch, machine=vm.machine, virt_type=vm.virt_type),
                deadline_s=self._call_s,
            )
        except OperationRefused as error:
            words = f"{destination} could not say whether its CPU suits {vm.name}: {error.detail or error.sentence}"
            return [Finding("cpu", Severity.WARNING, words, "Compare the CPU models of the two hosts yourself.")]
        except HpconsoleError as error:
            return [Finding("cpu", Severity.WARNING, error.sentence, "Check again when both hosts answer.")]
        if not problem:
            return []
        words = f"The CPU of {destination} does not suit {vm.name}: {problem}."
        remedy = "Choose a host with the same or a newer CPU, or start the VM with a CPU model that both have."
        return [Finding("cpu", Severity.ERROR, words, remedy)]

    def _expanded_cpu(self, vm: Vm) -> str | None:
        """The CPU the guest sees, as a custom model: its own, or its host's where that is passed through."""
        source = vm.host or ""
        if vm.cpu.is_passthrough or vm.cpu.mode == "maximum":
            capabilities = self._pool.call(
                source, lambda host: host.facts().domain_capabilities_xml, deadline_s=self._call_s
            )
            found = _HOST_MODEL.search(capabilities)
            if found is None:
                return None
            return f"<cpu mode='custom' match='exact'>{''.join(_MODEL.findall(found[1]))}</cpu>"
        xml = self._pool.call(source, lambda host: host.domain_xml(vm.uuid), deadline_s=self._call_s)
        own = _CPU.search(xml)
        return own[0] if own is not None and "<model" in own[0] else None
