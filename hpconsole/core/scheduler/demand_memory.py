"""How much memory, in which page size, the virtual nodes of a VM ask of each host node they lie on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from hpconsole.core.model.vm import NumaMode, VirtualNumaNode, Vm
from hpconsole.core.scheduler.demand import Tune
from hpconsole.core.scheduler.occupancy import divided, huge_page_kib


class MemoryFields(TypedDict):
    """The memory fields of a `NodeNeed`."""

    memory_kib: int
    page_kib: int | None
    pages: int
    more_pages: tuple[tuple[int, int], ...]


def memory_fields(parts: Iterable[tuple[int, int | None, int]]) -> MemoryFields:
    """(KiB, huge page size or None, number of equal shares it is divided into) of each part: one share of each."""
    plain, by_size = 0, dict[int, int]()
    for memory_kib, size, shares in parts:
        amount = divided(memory_kib, size, shares)
        if size is None:
            plain += amount
        else:
            by_size[size] = by_size.get(size, 0) + amount
    pages = tuple(sorted((size, count) for size, count in by_size.items() if count))
    return MemoryFields(
        memory_kib=plain,
        page_kib=pages[0][0] if pages else None,
        pages=pages[0][1] if pages else 0,
        more_pages=pages[1:],
    )


def node_part(vm: Vm, node: VirtualNumaNode, mode: NumaMode, shares: int = 1) -> tuple[int, int | None, int]:
    """A virtual node's memory as a part; memory only preferred somewhere asks for nothing."""
    return (0 if mode is NumaMode.PREFERRED else node.memory_kib, huge_page_kib(vm, node), shares)


def following_tune(vm: Vm) -> Tune | None:
    """The whole VM's memory binding, where it follows the VM to its host nodes."""
    if vm.numa_tune is None:
        return None
    mode = vm.numa_tune.mode
    if vm.virtual_nodes or mode is NumaMode.PREFERRED:
        return Tune(mode, None)
    size = huge_page_kib(vm)
    if size is None:
        return Tune(mode, None, memory_kib=vm.memory_kib)
    return Tune(mode, None, page_needs=((size, divided(vm.memory_kib, size, 1)),))
