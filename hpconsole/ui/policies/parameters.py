"""A policy's parameters as fields: what each is called, its range in words, and what is wrong with a text. No Qt."""

from __future__ import annotations

import math

from hpconsole.core.scheduler.parameter_titles import title_of
from hpconsole.core.scheduler.policy_files import parameters
from hpconsole.core.scheduler.units import Parameter


def range_of(parameter: Parameter) -> str:
    """What may be typed.

    >>> range_of(Parameter("LowUtilization", 20, 0, 49, "%", ""))
    '0 to 49 %'
    >>> range_of(Parameter("MigrationThreshold", 5, 2, None, "VMs", ""))
    '2 VMs or more'
    """
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.maximum is None:
        return f"{parameter.minimum:g}{unit} or more"
    return f"{parameter.minimum:g} to {parameter.maximum:g}{unit}"


def tip_of(parameter: Parameter) -> str:
    """What it does, and the name it has in files."""
    return f"{parameter.help} Leave it empty for the default. ({parameter.name})"


def value_of(text: str) -> float | None:
    """The number; None = not set."""
    return float(text.strip().replace(",", ".")) if text.strip() else None


def problem_of(name: str, text: str) -> str:
    """What is wrong with what is typed, in a sentence; empty if it can be had.

    >>> problem_of("LowUtilization", "20"), problem_of("LowUtilization", "")
    ('', '')
    >>> problem_of("LowUtilization", "50")
    'Idle below a CPU load of: 0 to 49 %, not 50.'
    >>> problem_of("LowUtilization", "few")
    'Idle below a CPU load of: a number from 0 to 49 %, not “few”.'
    """
    parameter = parameters()[name]
    try:
        value = value_of(text)
    except ValueError:
        return f"{title_of(parameter)}: a number from {range_of(parameter)}, not “{text.strip()[:30]}”."
    if value is None or value == parameter.default:
        return ""
    is_above = parameter.maximum is not None and value > parameter.maximum
    if not math.isfinite(value) or value < parameter.minimum or is_above:
        return f"{title_of(parameter)}: {range_of(parameter)}, not {text.strip()[:30]}."
    return ""
