"""VM-Name: libvirt knows no two VMs of one name on a host, so a namesake there stands in the way."""

from __future__ import annotations

from collections.abc import Iterator

from hpconsole.core.model.vm import Vm
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal

UNIT = "VM-Name"


def _namesakes(question: Question, vm: Vm) -> Iterator[tuple[Vm, tuple[str, ...]]]:
    """The other VMs of this VM's name, with the hosts that hold them or are about to."""
    if question.named is not None:
        for other in question.named(vm.name):
            if other.uuid != vm.uuid:
                yield other, (*other.known_on, *question.promised.get(other.uuid, ()))


def _share_a_name(question: Question) -> bool:
    return len({vm.name for vm in question.vms}) < len(question.vms)


def _accepts(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        for _, hosts in _namesakes(question, vm):
            accepted &= ~question.columns.rows(hosts) | question.is_here(vm)
    return accepted & (not _share_a_name(question))


def _because(question: Question, row: int) -> Refusal:
    host = question.account(row).name
    for vm in question.arriving(row):
        for other, hosts in _namesakes(question, vm):
            if host in hosts:
                state = "which runs there" if other.host == host and other.state.is_active else "defined there"
                sentence = f"{host} has another VM named {vm.name} ({state}, UUID {other.uuid}); libvirt allows no two."
                return Refusal(UNIT, sentence, "VM_NAME_TAKEN")
    sentence = f"Two of these VMs are named {question.vm.name}; libvirt allows no two of one name on a host."
    return Refusal(UNIT, sentence, "VM_NAME_TAKEN")


VM_NAME = Filter(UNIT, _accepts, _because, "No other VM of this name is there.", is_mandatory=True)
