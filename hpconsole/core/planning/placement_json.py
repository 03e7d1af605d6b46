"""A placement as JSON values and back, for the journal. Reading trusts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import CpuPinning, NumaMode, NumaTune


def placement_to_json(placement: Placement) -> dict[str, Any]:
    """CPU and node sets in libvirt's list form; ids as text, since they are JSON keys."""
    pinning, tune = placement.pinning, placement.numa_tune
    return {
        "vm_uuid": placement.vm_uuid,
        "host": placement.host,
        "nodes": {str(b.node_id): {"host_nodes": list(b.host_nodes), "mode": b.mode.value} for b in placement.bindings},
        "vcpus": {str(vcpu): cpus.format() for vcpu, cpus in pinning.vcpus},
        "emulator": None if pinning.emulator is None else pinning.emulator.format(),
        "iothreads": {str(thread): cpus.format() for thread, cpus in pinning.iothreads},
        "numa_tune": None if tune is None else {"mode": tune.mode.value, "nodeset": tune.nodeset.format()},
    }


def placement_from_json(value: Mapping[str, Any]) -> Placement:
    """The placement that was written.

    Raises:
        InvalidPinning: it was not written by `placement_to_json`.
    """
    try:
        tune, emulator = value["numa_tune"], value["emulator"]
        return Placement(
            vm_uuid=str(value["vm_uuid"]),
            host=str(value["host"]),
            bindings=tuple(
                NodeBinding(int(node_id), tuple(int(n) for n in bound["host_nodes"]), NumaMode(bound["mode"]))
                for node_id, bound in value["nodes"].items()
            ),
            pinning=CpuPinning(
                vcpus=_pins(value["vcpus"]),
                emulator=None if emulator is None else CpuSet.parse(emulator),
                iothreads=_pins(value["iothreads"]),
            ),
            numa_tune=None if tune is None else NumaTune(NumaMode(tune["mode"]), CpuSet.parse(tune["nodeset"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidPinning(f"A stored placement cannot be read ({error}).") from error


def _pins(value: Mapping[str, str]) -> tuple[tuple[int, CpuSet], ...]:
    return tuple(sorted(((int(key), CpuSet.parse(cpus)) for key, cpus in value.items()), key=lambda pin: pin[0]))
