"""What the scheduler's units are called for people, in the window and on the command line alike.

The reference's names stay in files, JSON, tests and logs: they are what policies are written with.
"""

from __future__ import annotations

_TITLES = {
    # weights: what is better where a host is ahead in it
    "OptimalForCpuEvenDistribution": "CPU load",
    "OptimalForMemoryEvenDistribution": "free memory",
    "OptimalForCpuPowerSaving": "CPU packing",
    "OptimalForMemoryPowerSaving": "memory packing",
    "OptimalForEvenGuestDistribution": "number of VMs",
    "OptimalForHaReservation": "room for HA VMs",
    "PreferredHosts": "preferred hosts",
    "CPU for high performance VMs": "CPU topology for the VM",
    "CPU and NUMA pinning compatibility": "CPU and NUMA pins that agree",
    "Fit VM to single host NUMA node": "room on a single NUMA node",
    "InClusterUpgrade": "system version",
    "Performance forecast": "performance forecast",
    # filters
    "Compatibility-Version": "libvirt and QEMU version",
    "CPU-Level": "CPU model and flags",
    "CPUOverloaded": "CPU overload",
    "CPUTopology": "CPU topology",
    "CpuPinning": "CPU pinning",
    "CPU": "CPUs",
    "NUMA": "NUMA",
    "HugePages": "huge pages",
    "Memory": "memory",
    "Swap": "swap",
    "Network": "networks",
    "PinToHost": "allowed hosts",
    "Migration": "present host",
    "Emulated-Machine": "machine type",
    "Migration-Tsc-Frequency": "TSC frequency",
    "HostDevice": "host devices",
    "MDevice": "mediated devices",
    "VmAffinityGroups": "VM affinity",
    "VmToHostsAffinityGroups": "host affinity",
    "ClusterInMaintenance": "cluster maintenance",
    "VM-Name": "VM name",
    # what is no unit of a policy
    "Host status": "host status",
    "Host choice": "choice of hosts",
    "Placement": "placement",
    # balancing
    "OptimalForEvenDistribution": "even load",
    "OptimalForPowerSaving": "power saving",
    "None": "none",
    "RankSelector": "by order",
    "BasicWeighting": "by weight",
}


def title(unit: str) -> str:
    """The unit's name within a sentence; a unit without one keeps its own.

    >>> title("OptimalForCpuEvenDistribution"), title("NUMA"), title("Something")
    ('CPU load', 'NUMA', 'Something')
    """
    return _TITLES.get(unit, unit)


def heading(unit: str) -> str:
    """The same at the beginning of a line.

    >>> heading("HugePages")
    'Huge pages'
    """
    name = title(unit)
    return name[:1].upper() + name[1:]
