"""The numbers the simulated hosts answer with are libvirt's."""

from __future__ import annotations

from enum import IntEnum

import libvirt
import pytest

from hpconsole.core.hypervisor.simulated import libvirt_numbers as numbers

_PREFIXES: dict[type[IntEnum], str] = {
    numbers.Err: "VIR_ERR_",
    numbers.State: "VIR_DOMAIN_",
    numbers.Running: "VIR_DOMAIN_RUNNING_",
    numbers.Paused: "VIR_DOMAIN_PAUSED_",
    numbers.Shutoff: "VIR_DOMAIN_SHUTOFF_",
    numbers.Lifecycle: "VIR_DOMAIN_EVENT_",
    numbers.Job: "VIR_DOMAIN_JOB_",
    numbers.JobOperation: "VIR_DOMAIN_JOB_OPERATION_",
    numbers.Vcpu: "VIR_VCPU_",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(f"{prefix}{member.name}", int(member)) for kind, prefix in _PREFIXES.items() for member in kind],
)
def test_number_is_libvirts(name: str, value: int) -> None:
    assert getattr(libvirt, name) == value
