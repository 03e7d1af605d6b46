"""Policies: which filters count, what the weights are worth, and how load is balanced. Tables an operator can read.

The five built-in ones have the factors of the reference (behaviour.md A8) and cannot be changed; own policies are
copies with other values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Policy:
    """A named set of rules. Units go by their names; mandatory filters count whether or not they are listed."""

    name: str
    filters: tuple[str, ...] = ()
    weights: tuple[tuple[str, int], ...] = ()  # (unit, factor)
    selector: str = "RankSelector"
    balancer: str = "None"
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    description: str = ""
    is_built_in: bool = False

    def copied(self, name: str) -> Policy:
        """An own policy that starts as this one."""
        return replace(self, name=name, is_built_in=False)


_FILTERS = (
    "CPU",
    "CPUOverloaded",
    "Emulated-Machine",
    "Swap",
    "Memory",
    "NUMA",
    "HugePages",
    "Migration",
    "VmAffinityGroups",
    "VmToHostsAffinityGroups",
    "Network",
    "Migration-Tsc-Frequency",
)
_EVERYWHERE = (
    ("PreferredHosts", 99),
    ("OptimalForHaReservation", 1),
    ("VmAffinityGroups", 1),
    ("VmToHostsAffinityGroups", 20),
    ("CPU for high performance VMs", 4),
    ("CPU and NUMA pinning compatibility", 5),
)
_EVEN = (("OptimalForCpuEvenDistribution", 2), ("OptimalForMemoryEvenDistribution", 1), *_EVERYWHERE)
_COMMON = {"CpuOverCommitDurationMinutes": 2, "HighUtilization": 80}


def _built_in(
    name: str,
    description: str,
    weights: tuple[tuple[str, int], ...],
    *,
    balancer: str = "None",
    first: tuple[str, ...] = (),
    parameters: Mapping[str, float] = MappingProxyType({}),
) -> Policy:
    together = MappingProxyType({**_COMMON, **parameters})
    filters = (*first, *_FILTERS)
    return Policy(name, filters, weights, "RankSelector", balancer, together, description, is_built_in=True)


BUILT_IN = (
    _built_in("none", "No balancing; new decisions prefer idle hosts.", _EVEN),
    _built_in(
        "cluster_maintenance",
        "Only highly available VMs start; running VMs may move.",
        _EVEN,
        first=("ClusterInMaintenance",),
    ),
    _built_in(
        "evenly_distributed",
        "CPU load and memory alike on all hosts.",
        _EVEN,
        balancer="OptimalForEvenDistribution",
        parameters={"VCpuToPhysicalCpuRatio": 0},
    ),
    _built_in(
        "power_saving",
        "As few busy hosts as possible.",
        (("OptimalForCpuPowerSaving", 2), ("OptimalForMemoryPowerSaving", 1), *_EVERYWHERE),
        balancer="OptimalForPowerSaving",
        parameters={"LowUtilization": 20},
    ),
    _built_in(
        "vm_evenly_distributed",
        "As many VMs on one host as on any other.",
        (("OptimalForEvenGuestDistribution", 2), *_EVERYWHERE),
        balancer="OptimalForEvenGuestDistribution",
        parameters={"HighVmCount": 10, "MigrationThreshold": 5, "SpmVmGrace": 5},
    ),
)
DEFAULT = "none"
DEFAULT_POLICY = BUILT_IN[0]


def built_in(name: str) -> Policy | None:
    """The built-in policy of this name."""
    return next((policy for policy in BUILT_IN if policy.name == name), None)
