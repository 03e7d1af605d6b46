"""Every weight there is."""

from __future__ import annotations

from hpconsole.core.scheduler.weights_load import EVEN_CPU, EVEN_GUESTS, EVEN_MEMORY, SAVING_CPU, SAVING_MEMORY
from hpconsole.core.scheduler.weights_pinning import (
    CPU_AND_NUMA,
    HIGH_PERFORMANCE_CPU,
    PERFORMANCE,
    SINGLE_NODE,
)
from hpconsole.core.scheduler.weights_rules import (
    HA_RESERVATION,
    HOST_AFFINITY_WEIGHT,
    IN_CLUSTER_UPGRADE_WEIGHT,
    PREFERRED_HOSTS,
    VM_AFFINITY_WEIGHT,
)

ALL = (
    EVEN_CPU,
    EVEN_MEMORY,
    SAVING_CPU,
    SAVING_MEMORY,
    EVEN_GUESTS,
    PREFERRED_HOSTS,
    HA_RESERVATION,
    VM_AFFINITY_WEIGHT,
    HOST_AFFINITY_WEIGHT,
    HIGH_PERFORMANCE_CPU,
    CPU_AND_NUMA,
    SINGLE_NODE,
    PERFORMANCE,
    IN_CLUSTER_UPGRADE_WEIGHT,
)
BY_NAME = {unit.name: unit for unit in ALL}
