"""What a policy's parameters are called for people, in the window and on the command line alike.

The reference's names stay in files and JSON: they are what policies are written with.
"""

from __future__ import annotations

from hpconsole.core.scheduler.units import Parameter

_TITLES = {
    "HighUtilization": "Busy from a CPU load of",
    "LowUtilization": "Idle below a CPU load of",
    "CpuOverCommitDurationMinutes": "Busy counts after",
    "VCpuToPhysicalCpuRatio": "Most shared vCPUs per CPU",
    "MaxFreeMemoryForOverUtilized": "Short of memory below",
    "MinFreeMemoryForUnderUtilized": "Takes VMs with free memory above",
    "HighVmCount": "Balance from so many VMs on a host",
    "MigrationThreshold": "Hosts must differ by",
    "SpmVmGrace": "Managing host counts for",
    "ScaleDown": "Scale down the HA spread by",
    "MaximumAllowedSwapUsage": "Swap in use at most",
}
_NO_LIMIT_AT_ZERO = ("VCpuToPhysicalCpuRatio", "MaxFreeMemoryForOverUtilized")


def title_of(parameter: Parameter) -> str:
    """What people call it; one without a title keeps its name."""
    return _TITLES.get(parameter.name, parameter.name)


def limit_text(parameter: Parameter, value: float) -> str:
    """The parameter with its value within a sentence; empty where the value means that there is no limit.

    >>> limit_text(Parameter("HighUtilization", 80, 50, 99, "%", ""), 80)
    'busy from a CPU load of 80 %'
    >>> limit_text(Parameter("VCpuToPhysicalCpuRatio", 0, 0, None, "", ""), 0)
    ''
    """
    if value == 0 and parameter.name in _NO_LIMIT_AT_ZERO:
        return ""
    title = title_of(parameter)
    return f"{title[:1].lower()}{title[1:]} {value:g}{f' {parameter.unit}' if parameter.unit else ''}"
