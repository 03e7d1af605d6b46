"""A cluster of any size for benchmarks: the demo's four machines over and over, three pinned VMs in each ten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hpconsole.core.hypervisor.simulated.demo import (
    EIGHT_NODES,
    FOUR_NODES,
    ONE_NODE,
    TWO_NODES,
    plain_guest,
)
from hpconsole.core.hypervisor.simulated.guests import GuestModel
from hpconsole.core.hypervisor.simulated.machines import PAGE_2M, Generation, HostModel
from hpconsole.core.hypervisor.simulated.pinned_guests import CoreBoard, Line, Pinning, pinned_guest
from hpconsole.core.model.vm import CpuPinningPolicy

_MODELS = (
    HostModel("", TWO_NODES, Generation.ICE_LAKE, 32_768),
    HostModel("", FOUR_NODES, Generation.CASCADE_LAKE, 16_384),
    HostModel("", ONE_NODE, Generation.ICE_LAKE),
    HostModel("", EIGHT_NODES, Generation.SAPPHIRE_RAPIDS, 16_384),
)
_ROLES = ("web", "app", "test", "db-dev", "build", "web", "proxy")


def hosts(count: int) -> tuple[HostModel, ...]:
    """So many hosts, named host-001 and so on."""
    digits = max(2, len(str(count)))
    return tuple(
        replace(_MODELS[number % len(_MODELS)], name=f"host-{number + 1:0{digits}}") for number in range(count)
    )


def guests(models: Sequence[HostModel], count: int, seed: int) -> dict[str, list[GuestModel]]:
    """So many VMs, spread evenly. A host takes about 30 before its cores run out; the rest are then plain."""
    found: dict[str, list[GuestModel]] = {model.name: [] for model in models}
    boards = {model.name: CoreBoard(model) for model in models}
    digits = len(str(count))
    for number in range(count):
        model, place = models[number % len(models)], number // len(models)
        suffix = f"{number + 1:0{digits}}"
        if place % 10 < 3 and place < 12:
            line = _pinned(model, place, f"hp-{suffix}")
            found[model.name].append(pinned_guest(line, boards[model.name], seed))
        else:
            name = f"{_ROLES[place % len(_ROLES)]}-{suffix}"
            found[model.name].append(plain_guest(seed, model, name, 2 + 2 * (place % 2), 4))
    return found


def _pinned(model: HostModel, place: int, name: str) -> Line:
    """The first two of a host with two virtual nodes where it has two nodes, the third with CPUs only."""
    nodes = model.shape.nodes
    if place % 10 == 2 or nodes == 1:
        node = place % nodes
        return Line(
            name,
            model.name,
            2,
            4,
            (node,),
            Pinning.CORES,
            CpuPinningPolicy.DEDICATED,
            has_virtual_nodes=False,
            is_bound=False,
        )
    pair = (2 * place % nodes, (2 * place + 1) % nodes)
    return Line(name, model.name, 4, 8, pair, Pinning.THREADS, page_kib=PAGE_2M)
