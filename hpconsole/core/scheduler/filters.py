"""Every filter there is. Mandatory ones always count; the others where a policy names them."""

from __future__ import annotations

from hpconsole.core.scheduler.filters_affinity import HOST_AFFINITY, VM_AFFINITY
from hpconsole.core.scheduler.filters_cpu import CPU, CPU_LEVEL, CPU_OVERLOADED, CPU_TOPOLOGY
from hpconsole.core.scheduler.filters_devices import (
    EMULATED_MACHINE,
    HOST_DEVICE,
    MEDIATED_DEVICE,
    NETWORK,
    TSC_FREQUENCY,
)
from hpconsole.core.scheduler.filters_memory import HUGE_PAGES, MEMORY, SWAP_FILTER
from hpconsole.core.scheduler.filters_names import VM_NAME
from hpconsole.core.scheduler.filters_pinning import CPU_PINNING, NUMA
from hpconsole.core.scheduler.filters_rules import (
    CLUSTER_IN_MAINTENANCE,
    COMPATIBILITY_VERSION,
    IN_CLUSTER_UPGRADE,
    MIGRATION,
    PIN_TO_HOST,
)

ALL = (
    COMPATIBILITY_VERSION,
    CPU_LEVEL,
    CPU_TOPOLOGY,
    CPU_PINNING,
    HOST_DEVICE,
    PIN_TO_HOST,
    MEDIATED_DEVICE,
    CLUSTER_IN_MAINTENANCE,
    CPU,
    CPU_OVERLOADED,
    EMULATED_MACHINE,
    SWAP_FILTER,
    MEMORY,
    NUMA,
    HUGE_PAGES,
    MIGRATION,
    VM_AFFINITY,
    HOST_AFFINITY,
    NETWORK,
    TSC_FREQUENCY,
    IN_CLUSTER_UPGRADE,
    VM_NAME,
)
BY_NAME = {unit.name: unit for unit in ALL}
MANDATORY = tuple(unit for unit in ALL if unit.is_mandatory)
