"""How many vCPUs fit into 255 CPU numbers: against counting them one by one, and as the VM dialog tells it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from hpconsole.core.machines.checking import check
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.surroundings import Surroundings
from hpconsole.core.model.vm import VcpuTopology
from hpconsole.core.planning.vcpu_limits import LAST_APIC_ID, is_legacy_machine, most_sockets, most_vcpus
from tests.builders import a_snapshot


def last_number(shape: VcpuTopology, sockets: int) -> int:
    """The largest APIC id: each level's numbers padded to a power of two."""

    def width(count: int) -> int:
        size = 1
        while size < count:
            size *= 2
        return size

    numbers = [
        ((s * width(shape.dies) + d) * width(shape.cores) + c) * width(shape.threads) + t
        for s, d, c, t in product(range(sockets), range(shape.dies), range(shape.cores), range(shape.threads))
    ]
    return max(numbers)


@pytest.mark.parametrize("dies", [1, 2, 3])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cores", [1, 2, 5, 8, 12, 16, 64, 127])
def test_the_last_socket_has_numbers_and_the_next_one_has_not(dies: int, cores: int, threads: int) -> None:
    shape = VcpuTopology(sockets=1, dies=dies, cores=cores, threads=threads)
    sockets = most_sockets(shape, max_vcpus=10**6, max_sockets=10**6, is_legacy_x86=True)
    assert sockets == 0 or last_number(shape, sockets) <= LAST_APIC_ID
    assert last_number(shape, sockets + 1) > LAST_APIC_ID


def test_what_else_limits() -> None:
    shape = VcpuTopology(sockets=1, cores=16, threads=2)
    assert most_vcpus(shape, max_vcpus=710, max_sockets=32, is_legacy_x86=False) == 704
    assert most_vcpus(shape, max_vcpus=710, max_sockets=3, is_legacy_x86=False) == 96
    assert most_vcpus(shape, max_vcpus=31, max_sockets=32, is_legacy_x86=False) == 0


@pytest.mark.parametrize(
    ("machine", "is_legacy"),
    [("pc", True), ("pc-i440fx-7.2", True), ("pc-1.2", True), ("q35", False), ("pc-q35-8.2", False), ("", False)],
)
def test_which_machines_are_old(machine: str, is_legacy: bool) -> None:
    assert is_legacy_machine(machine) is is_legacy


def test_the_vm_dialog_says_so() -> None:
    # 16 x 8 x 2 is one number too many: the last of 256 speaks to all CPUs.
    draft = replace(new_draft("vm"), machine="pc", topology=VcpuTopology(sockets=16, cores=8, threads=2), vcpus_now=1)
    around = Surroundings(a_snapshot([]))

    def told(**changes: object) -> str:
        return " ".join(p.sentence for p in check(replace(draft, **changes), around) if p.field == "topology")  # type: ignore[arg-type]

    assert told() == (
        "Machine type pc takes at most 240 vCPUs in sockets of 8 cores with 2 threads each. "
        "Choose q35, or another shape."
    )
    assert told(machine="q35") == ""
    assert told(topology=VcpuTopology(sockets=15, cores=8, threads=2)) == ""
