"""A snapshot without anybody's names: hosts, VMs, networks and labels become numbers, texts are dropped.

Numbers, topologies and rules stay, so every decision stays the same but for ties, which are settled by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hpconsole.core.model.affinity import AffinityGroup
from hpconsole.core.model.host import Host, HostDevices
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmDevices


class _Names:
    """Old name -> new name, in order of the old ones."""

    def __init__(self, word: str, names: Iterable[str]) -> None:
        ordered = sorted(set(names) - {""})
        width = len(str(len(ordered)))
        self._new = {name: f"{word}-{number:0{width}d}" for number, name in enumerate(ordered, start=1)}

    def of(self, name: str) -> str:
        """The new name; names that nobody has stay empty."""
        return self._new.get(name, "")

    def all(self, names: Iterable[str]) -> tuple[str, ...]:
        """The new names, unknown ones left out."""
        return tuple(self._new[name] for name in names if name in self._new)


class _Anonymiser:
    def __init__(self, snapshot: ClusterSnapshot) -> None:
        vms, hosts = snapshot.vms.values(), snapshot.hosts.values()
        self.hosts = _Names("host", snapshot.hosts)
        self.hostnames = _Names("machine", (host.hostname for host in hosts))
        self.machines = _Names("00000000-0000-4000-9000", (host.uuid for host in hosts))
        self.uuids = {uuid: f"00000000-0000-4000-8000-{n:012d}" for n, uuid in enumerate(sorted(snapshot.vms), start=1)}
        self.vms = _Names("vm", (vm.name for vm in vms))
        nics = [nic.source for vm in vms for nic in vm.devices.nics]
        self.networks = _Names(
            "network", [*nics, *(n for h in hosts for n in (*h.devices.networks, *h.devices.bridges))]
        )
        labels = [label for vm in vms for label in vm.intent.labels]
        self.labels = _Names("label", [*labels, *(label for host in hosts for label in host.labels)])

    def host(self, host: Host) -> Host:
        devices = host.devices
        return replace(
            host,
            name=self.hosts.of(host.name),
            uri="",
            uuid=self.machines.of(host.uuid),
            hostname=self.hostnames.of(host.hostname),
            status_reason="",
            link=replace(host.link, problem=""),
            labels=frozenset(self.labels.all(host.labels)),
            devices=HostDevices(
                networks=frozenset(self.networks.all(devices.networks)),
                bridges=frozenset(self.networks.all(devices.bridges)),
                pci=tuple(replace(device, product="") for device in devices.pci),
                mediated=devices.mediated,
                has_device_passthrough=devices.has_device_passthrough,
            ),
        )

    def vm(self, vm: Vm) -> Vm:
        intent = vm.intent
        return replace(
            vm,
            uuid=self.uuids[vm.uuid],
            name=self.vms.of(vm.name),
            host=None if vm.host is None else self.hosts.of(vm.host) or None,
            state_reason="",
            other_hosts=self.hosts.all(vm.other_hosts),
            also_running_on=self.hosts.all(vm.also_running_on),
            other_processes=tuple(
                replace(process, host=self.hosts.of(process.host))
                for process in vm.other_processes
                if self.hosts.of(process.host)
            ),
            devices=VmDevices(
                nics=tuple(replace(nic, source=self.networks.of(nic.source)) for nic in vm.devices.nics),
                disks=tuple(replace(disk, source="") for disk in vm.devices.disks),
                assigned=vm.devices.assigned,
                mediated_types=vm.devices.mediated_types,
                has_tpm_state=vm.devices.has_tpm_state,
                has_nvram=vm.devices.has_nvram,
            ),
            intent=replace(
                intent,
                allowed_hosts=self.hosts.all(intent.allowed_hosts),
                per_host=tuple(
                    replace(item, host=self.hosts.of(item.host)) for item in intent.per_host if self.hosts.of(item.host)
                ),
                template="",
                labels=frozenset(self.labels.all(intent.labels)),
            ),
        )

    def group(self, number: int, group: AffinityGroup) -> AffinityGroup:
        return replace(
            group,
            name=f"group-{number}",
            description="",
            vms=tuple(self.uuids[uuid] for uuid in group.vms if uuid in self.uuids),
            hosts=self.hosts.all(group.hosts),
            vm_labels=frozenset(self.labels.all(group.vm_labels)),
            host_labels=frozenset(self.labels.all(group.host_labels)),
        )


def anonymised(snapshot: ClusterSnapshot) -> ClusterSnapshot:
    """The same cluster without names."""
    names = _Anonymiser(snapshot)
    hosts = [names.host(host) for host in snapshot.hosts.values()]
    vms = [names.vm(vm) for vm in snapshot.vms.values()]
    settings = snapshot.settings
    return ClusterSnapshot(
        serial=snapshot.serial,
        taken_at=snapshot.taken_at,
        hosts={host.name: host for host in hosts},
        vms={vm.uuid: vm for vm in vms},
        loads={names.uuids[uuid]: load for uuid, load in snapshot.loads.items() if uuid in names.uuids},
        affinity_groups=tuple(names.group(number, g) for number, g in enumerate(snapshot.affinity_groups, start=1)),
        settings=replace(settings, required_networks=frozenset(names.networks.all(settings.required_networks))),
    )
