"""What the scheduler's units are called in the window; the reference's names stay in files, tests and logs. No Qt."""

from __future__ import annotations

_WORDS = {
    # weights
    "OptimalForCpuEvenDistribution": "CPU load",
    "OptimalForMemoryEvenDistribution": "free memory",
    "OptimalForCpuPowerSaving": "CPU packing",
    "OptimalForMemoryPowerSaving": "memory packing",
    "OptimalForEvenGuestDistribution": "number of VMs",
    "OptimalForHaReservation": "room for HA VMs",
    "PreferredHosts": "preferred hosts",
    "CPU for high performance VMs": "CPU model (HP)",
    "CPU and NUMA pinning compatibility": "pinning fit",
    "InClusterUpgrade": "system version",
    # filters
    "CPU-Level": "CPU model",
    "CPUOverloaded": "CPU overload",
    "CPUTopology": "CPU topology",
    "CpuPinning": "CPU pinning",
    "NUMA": "NUMA",
    "HugePages": "Huge pages",
    "PinToHost": "Allowed hosts",
    "Migration": "Present host",
    "Emulated-Machine": "Machine type",
    "Migration-Tsc-Frequency": "TSC frequency",
    "HostDevice": "Host devices",
    "MDevice": "Mediated devices",
    "VmAffinityGroups": "VM affinity",
    "VmToHostsAffinityGroups": "host affinity",
}


def words(unit: str) -> str:
    """The unit's name for people."""
    return _WORDS.get(unit, unit)
