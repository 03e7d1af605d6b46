"""libvirt's numbers that the simulated hosts answer with, written out so that the demo runs without libvirt.

`tests/core/hypervisor/test_simulated_numbers.py` compares each with the library's own.
"""

from __future__ import annotations

from enum import IntEnum


class Err(IntEnum):
    """VIR_ERR_*."""

    INTERNAL_ERROR = 1
    INVALID_ARG = 8
    OPERATION_FAILED = 9
    XML_ERROR = 27
    SYSTEM_ERROR = 38
    NO_NETWORK = 43
    NO_STORAGE_POOL = 49
    NO_STORAGE_VOL = 50
    OPERATION_INVALID = 55
    CONFIG_UNSUPPORTED = 67
    OPERATION_TIMEOUT = 68
    OPERATION_ABORTED = 78
    OPERATION_UNSUPPORTED = 84
    STORAGE_VOL_EXIST = 90
    CPU_INCOMPATIBLE = 91


class State(IntEnum):
    """VIR_DOMAIN_*: domain states."""

    RUNNING = 1
    PAUSED = 3
    SHUTOFF = 5


class Running(IntEnum):
    """VIR_DOMAIN_RUNNING_*: why it runs."""

    BOOTED = 1
    MIGRATED = 2
    UNPAUSED = 5
    MIGRATION_CANCELED = 6
    POSTCOPY = 10


class Paused(IntEnum):
    """VIR_DOMAIN_PAUSED_*: why it is paused."""

    USER = 1
    MIGRATION = 2
    POSTCOPY = 12
    POSTCOPY_FAILED = 13


class Shutoff(IntEnum):
    """VIR_DOMAIN_SHUTOFF_*: why it is off."""

    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    FAILED = 6


class Lifecycle(IntEnum):
    """VIR_DOMAIN_EVENT_*: lifecycle events."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5


class Job(IntEnum):
    """VIR_DOMAIN_JOB_*."""

    NONE = 0
    UNBOUNDED = 2
    COMPLETED = 3


class JobOperation(IntEnum):
    """VIR_DOMAIN_JOB_OPERATION_*."""

    MIGRATION_IN = 4
    MIGRATION_OUT = 5


class Vcpu(IntEnum):
    """VIR_VCPU_*."""

    RUNNING = 1
