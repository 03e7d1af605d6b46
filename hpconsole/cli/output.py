"""How answers look: aligned tables for people, documented JSON for programs (docs/command-line.md)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpconsole.cli.terminal import printable, say
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import Placement
from hpconsole.core.model.vm import CpuPinning
from hpconsole.core.scheduler.unit_titles import heading
from hpconsole.core.scheduler.units import Refusal, Shortage, WeightPart

if TYPE_CHECKING:
    from hpconsole.core.scheduler.ranking import Ranking

Json = dict[str, Any]


def print_json(value: Mapping[str, Any]) -> None:
    """One document on standard output, readable as it is; what could steer a terminal is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Columns aligned by width; control characters of names are shown, not sent to the terminal.

    Args:
        right: Places of the columns that hold numbers, aligned at their ends.
    """
    lines = [list(titles), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        cells = (cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(line))
        print("  ".join(cells).rstrip())


def pinning_json(pinning: CpuPinning) -> Json:
    """`vcpus`: vCPU id -> CPU list as libvirt writes it."""
    return {
        "vcpus": {str(vcpu): cpus.format() for vcpu, cpus in pinning.vcpus},
        "emulator": _cpus(pinning.emulator),
        "iothreads": {str(thread): cpus.format() for thread, cpus in pinning.iothreads},
    }


def _cpus(cpus: CpuSet | None) -> str | None:
    return None if cpus is None else cpus.format()


def placement_json(placement: Placement) -> Json:
    """The exact map: virtual nodes on host nodes, threads on CPUs."""
    return {
        "host": placement.host,
        "nodes": {
            str(binding.node_id): {"host_nodes": list(binding.host_nodes), "mode": binding.mode.value}
            for binding in placement.bindings
        },
        **pinning_json(placement.pinning),
    }


def shortages_json(shortages: Iterable[Shortage]) -> list[Json]:
    """What is needed, what there is, and what is missing, in numbers."""
    return [
        {"what": s.what, "needed": s.needed, "available": s.available, "missing": s.missing, "unit": s.unit}
        for s in shortages
    ]


def refusal_json(refusal: Refusal) -> Json:
    """Unit, reason key, sentence, and the numbers."""
    return {
        "unit": refusal.unit,
        "kind": refusal.kind,
        "sentence": refusal.sentence,
        "shortages": shortages_json(refusal.shortages),
    }


def part_json(part: WeightPart) -> Json:
    """One weight's share in the order."""
    return {
        "unit": part.unit,
        "raw": part.raw,
        "rank": part.rank,
        "factor": part.factor,
        "contribution": part.contribution,
        "measure": part.told,
    }


def ranking_json(ranking: Ranking, vm_uuids: Sequence[str], *, explain: bool = False) -> list[Json]:
    """Every host, accepted ones first in rank order, each with what speaks for or against it."""
    from hpconsole.core.scheduler.placement import Misfit

    hosts: list[Json] = []
    for position, name in enumerate(ranking.accepted, start=1):
        placements = {uuid: ranking.placement(name, uuid) for uuid in vm_uuids}
        line: Json = {
            "host": name,
            "accepted": True,
            "position": position,
            "score": ranking.score(name),
            "weights": [part_json(part) for part in ranking.parts(name)],
            "placements": {
                uuid: placement_json(placement)
                for uuid, placement in placements.items()
                if not isinstance(placement, Misfit)
            },
        }
        if explain and position > 1 and ranking.best is not None:
            line["why_not_first"] = ranking.why(ranking.best, name)
        hosts.append(line)
    for name in ranking.refused:
        line = {
            "host": name,
            "accepted": False,
            "refusals": [refusal_json(refusal) for refusal in ranking.refusals(name)],
        }
        if explain:
            line["would_help"] = ranking.would_help(name)
        hosts.append(line)
    return hosts


def print_ranking(ranking: Ranking, vm_uuids: Sequence[str], *, explain: bool = False) -> None:
    """The same for people."""
    from hpconsole.core.scheduler.placement import Misfit

    for position, name in enumerate(ranking.accepted, start=1):
        say(f"{position:>3}. {name}  {ranking.score(name):g} points")
        for uuid in vm_uuids:
            placement = ranking.placement(name, uuid)
            if not isinstance(placement, Misfit) and not placement.is_free:
                say(f"     {describe(placement)}")
        if explain:
            say("     Points (place in the order x factor):")
            for part in ranking.parts(name):
                measure = f"  ({part.told})" if part.told else ""
                say(f"       {heading(part.unit)}: {part.rank} x {part.factor} = {part.contribution:g}{measure}")
            if position > 1 and ranking.best is not None:
                say(f"     Why not first: {ranking.why(ranking.best, name)}")
    if ranking.refused:
        say("Not suitable:")
    for name in ranking.refused:
        say(f"  -  {name}")
        for refusal in ranking.refusals(name):
            say(f"     {heading(refusal.unit)}: {refusal.sentence}")
        if explain and (help_ := ranking.would_help(name)):
            say(f"     What would help: {help_}")


def describe(placement: Placement) -> str:
    """A placement in one line."""
    nodes = ", ".join(
        f"virtual node {b.node_id} on node {','.join(map(str, b.host_nodes))}" for b in placement.bindings
    )
    vcpus = ", ".join(f"{vcpu}→{cpus.format()}" for vcpu, cpus in placement.pinning.vcpus)
    emulator = placement.pinning.emulator
    parts = [nodes, f"vCPUs {vcpus}" if vcpus else "", f"emulator→{emulator.format()}" if emulator else ""]
    return "; ".join(part for part in parts if part)
