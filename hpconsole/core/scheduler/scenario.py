"""A cluster saved as a file, so that a decision can be asked about again elsewhere. Format: docs/scenario-format.md."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from hpconsole.core.errors import ScenarioError
from hpconsole.core.model.affinity import AffinityGroup, ClusterSettings
from hpconsole.core.model.host import Host, HostTopology
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm, VmLoad
from hpconsole.core.scheduler.anonymous import anonymised
from hpconsole.core.scheduler.value_json import from_json, to_json

Value = TypeVar("Value")
FORMAT = "hpconsole-scenario"
VERSION = 1
LARGEST_FILE = 512 * 1024 * 1024


def save(snapshot: ClusterSnapshot, path: str | Path, *, anonymise: bool = False) -> None:
    """Write a snapshot to a file.

    Raises:
        ScenarioError: the file cannot be written.
    """
    text = json.dumps(document(anonymised(snapshot) if anonymise else snapshot), indent=1, ensure_ascii=False)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path} cannot be written: {error.strerror or error}.", detail=str(error)) from error


def load(path: str | Path) -> ClusterSnapshot:
    """Read a snapshot from a file.

    Raises:
        ScenarioError: the file cannot be read, or does not hold one that this version understands.
    """
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise ScenarioError(f"{path} is too large for a scenario.")
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read: {error.strerror or error}.", detail=str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{path} is not a scenario: it is no JSON text.", detail=str(error)) from error
    return snapshot_of(data)


def document(snapshot: ClusterSnapshot) -> dict[str, Any]:
    """A snapshot as JSON data. Equal topologies are written once."""
    topologies: list[HostTopology] = []
    hosts: list[dict[str, Any]] = []
    for host in snapshot.hosts.values():
        if host.topology not in topologies:
            topologies.append(host.topology)
        bare = to_json(dataclasses.replace(host, topology=HostTopology()))
        hosts.append({**bare, "topology": topologies.index(host.topology)})
    return {
        "format": FORMAT,
        "version": VERSION,
        "serial": snapshot.serial,
        "taken_at": snapshot.taken_at.isoformat() if snapshot.taken_at else None,
        "settings": to_json(snapshot.settings),
        "affinity_groups": to_json(snapshot.affinity_groups),
        "topologies": to_json(topologies),
        "hosts": hosts,
        "vms": to_json(list(snapshot.vms.values())),
        "loads": to_json(snapshot.loads),
    }


def snapshot_of(data: object) -> ClusterSnapshot:
    """A snapshot from JSON data.

    Raises:
        ScenarioError: it is none, or of a newer version.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ScenarioError("The file is not a scenario of hpconsole.")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ScenarioError("The file does not say which version of the scenario format it has.")
    if version > VERSION:
        raise ScenarioError(
            f"The file has scenario format {version}, this hpconsole understands up to {VERSION}. Update hpconsole."
        )
    topologies = from_json(tuple[HostTopology, ...], data.get("topologies", []), "topologies")
    hosts = _hosts(data.get("hosts", []), topologies)
    vms: tuple[Vm, ...] = from_json(tuple[Vm, ...], data.get("vms", []), "vms")
    loads = data.get("loads", {})
    if not isinstance(loads, Mapping):
        raise ScenarioError("The file cannot be used: loads is not a set of named values.")
    return ClusterSnapshot(
        serial=from_json(int, data.get("serial", 0), "serial"),
        taken_at=from_json(datetime | None, data.get("taken_at"), "taken_at"),
        hosts=_unique({host.name: host for host in hosts}, len(hosts), "hosts of the same name"),
        vms=_unique({vm.uuid: vm for vm in vms}, len(vms), "VMs of the same UUID"),
        loads={str(uuid): from_json(VmLoad, item, f"loads.{uuid}") for uuid, item in loads.items()},
        affinity_groups=from_json(tuple[AffinityGroup, ...], data.get("affinity_groups", []), "affinity_groups"),
        settings=from_json(ClusterSettings, data.get("settings", {}), "settings"),
    )


def _hosts(data: object, topologies: tuple[HostTopology, ...]) -> list[Host]:
    if not isinstance(data, list):
        raise ScenarioError("The file cannot be used: hosts is not a list.")
    hosts: list[Host] = []
    for i, item in enumerate(data):
        if not isinstance(item, Mapping):
            raise ScenarioError(f"The file cannot be used: hosts[{i}] is not a set of named values.")
        number = item.get("topology", 0 if topologies else None)
        if number is not None and (
            not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(topologies)
        ):
            raise ScenarioError(f"The file cannot be used: hosts[{i}].topology names none of the topologies.")
        bare = {key: value for key, value in item.items() if key != "topology"}
        host: Host = from_json(Host, bare, f"hosts[{i}]")
        hosts.append(host if number is None else dataclasses.replace(host, topology=topologies[number]))
    return hosts


def _unique(values: dict[str, Value], count: int, what: str) -> dict[str, Value]:
    if len(values) != count:
        raise ScenarioError(f"The file cannot be used: it holds {what}.")
    return values
