"""The CPU-Level filter and lists of CPU models: a host's list is believed only where it says something of the VM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpconsole.core.model.vm import Vm, VmCpu
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.request import Request
from tests.builders import a_host, a_snapshot, a_vm


def accepted(vm: Vm, here: frozenset[str], there: frozenset[str]) -> bool:
    hosts = [a_host("host-a"), a_host("host-b")]
    hosts = [
        replace(host, cpu=replace(host.cpu, usable_models=models))
        for host, models in zip(hosts, (here, there), strict=True)
    ]
    return "host-b" in rank(Request((vm.uuid,)), a_snapshot(hosts, [vm])).accepted


NONE, OLD, BOTH = frozenset[str](), frozenset({"EPYC"}), frozenset({"EPYC", "EPYC-Milan"})


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (BOTH, BOTH, True),
        (BOTH, OLD, False),
        (NONE, OLD, False),  # the source tells nothing: the destination's word counts
        (BOTH, NONE, True),  # the destination tells nothing
        (OLD, OLD, True),  # it runs on a host whose list denies it too: the list proves nothing
    ],
)
def test_a_named_model_of_a_running_vm(here: frozenset[str], there: frozenset[str], expected: bool) -> None:
    assert accepted(a_vm(cpu=VmCpu("custom", "EPYC-Milan")), here, there) is expected


def test_an_emulated_vm_runs_any_model_whatever_kvm_s_list_says() -> None:
    assert accepted(a_vm(cpu=VmCpu("custom", "EPYC-Milan"), virt_type="qemu"), BOTH, OLD)
