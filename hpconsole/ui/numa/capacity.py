"""What a host node has room for while virtual nodes are carried over it: memory and huge pages. No Qt.

Rough on purpose: numbers a person can check. Whether a host can really take a VM is the scheduler's verdict, which the
strip of hosts shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hpconsole.core.machines.draft import NodeDraft, VmDraft
from hpconsole.core.model.host import Host
from hpconsole.core.model.vm import NumaMode, Vm
from hpconsole.core.scheduler.needs import page_count
from hpconsole.ui import format as fmt


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of one host node. None = the host does not tell."""

    total_kib: int
    free_kib: int | None
    pages: tuple[tuple[int, int, int], ...] = ()  # (size in KiB, free, in all)


def pins_on(draft: VmDraft, index: int, host: str) -> tuple[int, ...]:
    """The host nodes a virtual node is pinned to on this host: its own there, or those of every host."""
    own = next((item.numa for item in draft.per_host if item.host == host), ())
    for pin in own:
        if pin.node_id == index:
            return pin.host_nodes
    node = next((node for node in draft.numa_nodes if node.index == index), None)
    return tuple(n for n in node.host_nodes if n is not None) if node is not None else ()


def rooms(host: Host, drafts: Iterable[tuple[VmDraft, Vm | None]]) -> dict[int, Room]:
    """What each node has left when the VMs under edit are where they are drawn.

    A VM that runs on the host gives back what it holds there now before its drawn pins are charged.
    """
    free = {usage.node_id: usage.free_kib for usage in host.usage.nodes}
    pages = {usage.node_id: dict(usage.free_pages) for usage in host.usage.nodes}
    for draft, vm in drafts:
        if vm is not None and vm.is_running_somewhere and vm.host == host.name:
            for held in vm.virtual_nodes:
                _charge(free, pages, held.host_nodes, held.memory_kib, held.page_kib or vm.huge_page_kib, sign=-1)
        for node in draft.numa_nodes:
            _charge(free, pages, pins_on(draft, node.index, host.name), node.memory_kib, draft.huge_page_kib, sign=1)
    return {
        node.node_id: Room(
            node.memory_kib,
            free.get(node.node_id),
            tuple((size, pages.get(node.node_id, {}).get(size, 0), total) for size, total in sorted(node.page_totals)),
        )
        for node in host.topology.nodes
    }


def _charge(
    free: dict[int, int],
    pages: dict[int, dict[int, int]],
    nodes: tuple[int, ...],
    memory_kib: int,
    page_kib: int | None,
    *,
    sign: int,
) -> None:
    for node in nodes:
        share = -(-memory_kib // len(nodes))
        if page_kib and page_kib in pages.get(node, {}):
            pages[node][page_kib] -= sign * page_count(share, page_kib)
        elif not page_kib and node in free:
            free[node] -= sign * share


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a host node can take a virtual node. Impossible: never; short: not at this moment."""

    is_impossible: bool = False
    is_short: bool = False
    sentence: str = ""


FITS = Fit()


def fit(node: NodeDraft, page_kib: int | None, host: str, node_id: int, room: Room, *, is_there: bool) -> Fit:
    """What speaks against this virtual node on this host node. `is_there`: it is charged in `room` already."""
    what, where = f"Virtual node {node.index} needs {fmt.kib(node.memory_kib)}", f"node {node_id} of {host}"
    if node.mode is NumaMode.STRICT and node.memory_kib > room.total_kib:
        missing = node.memory_kib - room.total_kib
        return Fit(True, False, f"{what}; {where} has {fmt.kib(room.total_kib)} in all: {fmt.kib(missing)} missing.")
    if page_kib:
        return _fit_pages(node, page_kib, what, where, room, is_there=is_there)
    if room.free_kib is None:
        return FITS
    free = room.free_kib + (node.memory_kib if is_there else 0)
    if node.memory_kib > free:
        missing = node.memory_kib - free
        return Fit(False, True, f"{what}; {where} has {fmt.kib(max(0, free))} free now: {fmt.kib(missing)} missing.")
    return FITS


def _fit_pages(node: NodeDraft, page_kib: int, what: str, where: str, room: Room, *, is_there: bool) -> Fit:
    needed = page_count(node.memory_kib, page_kib)
    size = fmt.page_size(page_kib)
    known = next(((free, total) for page, free, total in room.pages if page == page_kib), None)
    if known is None or needed > known[1]:
        total = known[1] if known is not None else 0
        return Fit(True, False, f"{what} in {needed} pages of {size}; {where} has {total}: {needed - total} missing.")
    free = known[0] + (needed if is_there else 0)
    if needed > free:
        return Fit(
            False,
            True,
            f"{what} in {needed} pages of {size}; {where} has {max(0, free)} free now: {needed - free} missing.",
        )
    return FITS
