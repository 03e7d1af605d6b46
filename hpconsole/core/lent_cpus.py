"""Which emulator threads are on lent CPUs while their VM moves, and what is meant instead? Knows no host.

Polls read the lent CPUs from the live XML; a plan must never take them for what the VM is meant to have.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import Vm

Meant = Mapping[str, CpuSet | None]  # VM's UUID -> the CPUs its emulator is meant to have; None = not pinned


class LentCpus:
    """What this console's migrations changed for the time being.

    Threads: any. What is handed out never changes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_host: Mapping[str, Meant] = {}

    def lend(self, uuid: str, meant: Mapping[str, CpuSet | None]) -> None:
        """Before the emulator of this VM is pinned elsewhere: what it is meant to have, by host."""
        with self._lock:
            new = dict(self._by_host)
            for host, cpus in meant.items():
                new[host] = {**new.get(host, {}), uuid: cpus}
            self._by_host = new

    def give_back(self, uuid: str) -> None:
        """After the emulator of this VM got its CPUs back: from now on the hosts are believed."""
        with self._lock:
            left = {
                host: {other: cpus for other, cpus in meant.items() if other != uuid}
                for host, meant in self._by_host.items()
            }
            self._by_host = {host: meant for host, meant in left.items() if meant}

    def of(self, host: str) -> Meant:
        """The VMs whose emulators are on lent CPUs of this host, or may be."""
        return self._by_host.get(host, {})


def as_meant(vm: Vm, meant: Meant) -> Vm:
    """The VM as it will be once the lent CPUs are given back; the same object where none are lent."""
    if vm.uuid not in meant or vm.pinning.emulator == meant[vm.uuid]:
        return vm
    return replace(vm, pinning=replace(vm.pinning, emulator=meant[vm.uuid]))
