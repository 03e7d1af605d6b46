"""One poll of one host: what it answered, as values. XML is read again only where something may have changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hpconsole.core.errors import ConnectionLost, HypervisorError, InvalidXml, VmNotFound
from hpconsole.core.hypervisor.domain_state import reason_of, state_of
from hpconsole.core.hypervisor.domain_xml import read_vm
from hpconsole.core.hypervisor.port import DomainRecord, HostSample, Hypervisor
from hpconsole.core.lent_cpus import LentCpus, as_meant
from hpconsole.core.model.host import Host, HostDevices
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.reading import Counters, cpu_pct, read_counters, read_devices, read_facts, read_loads, read_usage

_RUNNING = 1  # VIR_DOMAIN_RUNNING


@dataclass(frozen=True, slots=True)
class HostRound:
    """What is known of one host after a poll. `host` has neither link nor status: those are not the host's to tell."""

    hypervisor: Hypervisor
    host: Host
    at_s: float  # monotonic
    records: Mapping[str, DomainRecord] = field(default_factory=dict)
    vms: Mapping[str, Vm] = field(default_factory=dict)  # the same object as long as nothing changed
    loads: Mapping[str, VmLoad] = field(default_factory=dict)
    running_since_s: Mapping[str, float] = field(default_factory=dict)  # UUID -> first of the polls that saw it run
    counters: Counters | None = None
    read_at_s: Mapping[str, float] = field(default_factory=dict)  # UUID -> when its XML was read, on this connection
    unread: frozenset[str] = frozenset()  # may have changed, and the time was too short to look
    slow_at_s: float = 0.0  # when facts and devices were read

    @property
    def is_complete(self) -> bool:
        """Whether every VM's XML was read at least once on this connection."""
        return self.records.keys() <= self.read_at_s.keys()


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """How a host is read."""

    overloaded_pct: float = 80.0
    slow_every_s: float = 60.0  # facts and devices
    sweep_every_s: float = 60.0  # each VM's XML, for changes that no event tells of
    xml_budget_s: float = 1.0  # for XML in one poll; the rest is read in the next, so that none takes long
    first_xml_budget_s: float = 0.1  # in the first poll of a connection: the first VMs are shown while others are read


class HostReader:
    """Reads one host. Holds no state but the clocks: what was known goes in, what is known comes out.

    Threads: the host's lane (two at a time after one was abandoned).
    """

    def __init__(
        self,
        name: str,
        uri: str,
        settings: RoundSettings,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        lent: LentCpus | None = None,
    ) -> None:
        self._name = name
        self._uri = uri
        self._settings = settings
        self._clock = clock
        self._now = now
        self._lent = lent or LentCpus()

    def read(self, hypervisor: Hypervisor, before: HostRound | None, suspects: frozenset[str] | None) -> HostRound:
        """Poll the host.

        Args:
            before: The last round, perhaps of an earlier connection.
            suspects: UUIDs of VMs whose XML may have changed; None = all.

        Raises:
            HypervisorError: it could not be read.
            InvalidXml: its capabilities cannot be used.
        """
        is_new = before is None or before.hypervisor is not hypervisor
        started_s = self._clock()
        if before is None or is_new or suspects is None or started_s - before.slow_at_s >= self._settings.slow_every_s:
            host, slow_at_s = self._read_slow(hypervisor, before), started_s
        else:
            host, slow_at_s = before.host, before.slow_at_s
        sample = hypervisor.sample()
        at, at_s = self._now(), self._clock()
        counters = read_counters(sample, at_s)
        known = None if before is None or is_new else before.counters
        load = cpu_pct(known, counters)
        usage = read_usage(
            sample,
            at,
            host.topology,
            load if load is not None or is_new else host.usage.cpu_pct,
            before=host.usage,
            overloaded_pct=self._settings.overloaded_pct,
        )
        host = replace(host, usage=usage, memory_kib=sample.memory.total_kib or host.memory_kib)
        records = {record.uuid: record for record in sample.domains}
        vms, read_at_s, unread = self._read_vms(hypervisor, host, records, before, suspects)
        return HostRound(
            hypervisor=hypervisor,
            host=host,
            at_s=at_s,
            records=records,
            vms=vms,
            loads=read_loads(sample, at, known, counters),
            running_since_s=_running_since(sample, at_s, before),
            counters=counters,
            read_at_s=read_at_s,
            unread=unread,
            slow_at_s=slow_at_s,
        )

    def _read_slow(self, hypervisor: Hypervisor, before: HostRound | None) -> Host:
        host = read_facts(self._name, self._uri, hypervisor.facts())
        try:
            devices = read_devices(hypervisor.devices(), has_device_passthrough=host.devices.has_device_passthrough)
        except ConnectionLost:
            raise
        except HypervisorError:  # a host that cannot list its devices has VMs all the same
            devices = before.host.devices if before is not None else HostDevices()
        return replace(host, devices=devices, usage=before.host.usage if before is not None else host.usage)

    def _read_vms(
        self,
        hypervisor: Hypervisor,
        host: Host,
        records: Mapping[str, DomainRecord],
        before: HostRound | None,
        suspects: frozenset[str] | None,
    ) -> tuple[Mapping[str, Vm], Mapping[str, float], frozenset[str]]:
        """The VMs, when each one's XML was read, and whose could not be read in time."""
        is_first = before is None or before.hypervisor is not hypervisor
        budget_s = self._settings.xml_budget_s
        until_s = self._clock() + (min(budget_s, self._settings.first_xml_budget_s) if is_first else budget_s)
        known: Mapping[str, Vm] = before.vms if before is not None else {}
        read_at_s: dict[str, float] = {}
        if before is not None and before.hypervisor is hypervisor:
            read_at_s = {uuid: at for uuid, at in before.read_at_s.items() if uuid in records}
        vms = {uuid: vm for uuid, vm in known.items() if uuid in records}
        due = self._due(records, before, read_at_s, suspects)
        done = 0
        while done < len(due) and (done == 0 or self._clock() < until_s):  # one at least, however slow the host is
            uuid = due[done]
            vm = self._read_vm(hypervisor, host, records[uuid], known.get(uuid))
            if vm is None:
                vms.pop(uuid, None)
            else:
                vms[uuid] = vm
            read_at_s[uuid] = self._clock()
            done += 1
        is_same = vms.keys() == known.keys() and all(vms[uuid] is known[uuid] for uuid in vms)
        return (known if is_same else vms), read_at_s, frozenset(due[done:])

    def _due(
        self,
        records: Mapping[str, DomainRecord],
        before: HostRound | None,
        read_at_s: Mapping[str, float],
        suspects: frozenset[str] | None,
    ) -> list[str]:
        """Whose XML to read, the urgent ones first."""
        if before is None or suspects is None:
            return list(records)
        suspects |= before.unread
        urgent = [
            uuid
            for uuid, record in records.items()
            if uuid in suspects or uuid not in read_at_s or before.records.get(uuid) != record
        ]
        oldest_s = self._clock() - self._settings.sweep_every_s
        chosen = set(urgent)
        stale = [uuid for uuid, read_s in read_at_s.items() if read_s < oldest_s and uuid not in chosen]
        # a few at a time, by chance: or all that were first read together would be read again together for ever
        return urgent + random.sample(stale, min(1 + len(records) // 30, len(stale)))

    def _read_vm(self, hypervisor: Hypervisor, host: Host, record: DomainRecord, known: Vm | None) -> Vm | None:
        """The VM; None if it is gone. One that cannot be read is shown with what is known, and a problem."""
        lent = self._lent.of(self._name)  # asked again below: lent, or given back, while the XML was on its way
        try:
            xml = hypervisor.domain_xml(record.uuid)
            vm = read_vm(record, xml, host=self._name, host_cpus=host.topology.all_cpus)
            vm = as_meant(vm, {**lent, **self._lent.of(self._name)})
        except VmNotFound:
            return None
        except ConnectionLost:
            raise
        except (HypervisorError, InvalidXml) as error:
            vm = Vm(
                uuid=record.uuid,
                name=record.name,
                host=self._name,
                state=state_of(record.state),
                state_reason=reason_of(record.state, record.reason),
                is_persistent=record.is_persistent,
                autostart=record.autostart,
                problem=error.sentence,
            )
        return known if vm == known else vm


def _running_since(sample: HostSample, at_s: float, before: HostRound | None) -> dict[str, float]:
    since = before.running_since_s if before is not None else {}
    return {record.uuid: since.get(record.uuid, at_s) for record in sample.domains if record.state == _RUNNING}
