"""What was true of a VM before it was moved, kept in the journal: the proof afterwards compares with it.

Also read from the entries of earlier runs of the console, which may be older than this module: what is not there is
unknown, and nothing is demanded of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpconsole.core.errors import InvalidPinning
from hpconsole.core.hypervisor.safe_xml import parse
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.placement import NodeBinding, Placement
from hpconsole.core.model.vm import Vm
from hpconsole.core.planning.placement_json import placement_from_json, placement_to_json
from hpconsole.core.planning.plan import Step

_METADATA = re.compile(r"<metadata\b.*?</metadata>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KnownBefore:
    """The VM on its source, before anything was asked. `home` None: not known.

    `metadata`: a digest of the definition's <metadata>; "" = it had none, or is not known.
    """

    was_paused: bool = False
    is_persistent: bool = False
    autostart: bool = False
    metadata: str = ""
    home: Placement | None = None
    was_destination_clean: bool = False  # nothing of it was on the destination, so that what is there is left over
    emulator_here: str = ""  # the CPUs its emulator threads get back on the source if it stays; "" = left alone
    emulator_there: str = ""  # likewise on the destination, once it is there
    nvram: str = ""  # the source's file of its UEFI variables, which libvirt leaves there

    def emulator_meant(self, step: Step) -> dict[str, CpuSet | None]:
        """By host whose CPUs its emulator threads are lent while it moves: those they are meant to have there."""
        meant: dict[str, CpuSet | None] = {}
        if self.emulator_here:
            back = CpuSet.parse(self.emulator_here)
            meant[step.source] = back if self.home is None else self.home.pinning.emulator
        if self.emulator_there:
            meant[step.destination] = step.placement.pinning.emulator
        return meant

    def to_json(self) -> dict[str, Any]:
        """As it is kept among the facts of a journal entry."""
        return {
            "was_paused": self.was_paused,
            "is_persistent": self.is_persistent,
            "autostart": self.autostart,
            "metadata": self.metadata,
            "was_destination_clean": self.was_destination_clean,
            "emulator_here": self.emulator_here,
            "emulator_there": self.emulator_there,
            "nvram": self.nvram,
            "home": None if self.home is None else placement_to_json(self.home),
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> KnownBefore:
        """As it was kept; what is missing or unreadable is not known."""
        home = facts.get("home")
        try:
            place = placement_from_json(home) if isinstance(home, Mapping) else None
        except InvalidPinning:
            place = None
        metadata, nvram = facts.get("metadata"), facts.get("nvram")
        return cls(
            was_paused=facts.get("was_paused") is True,
            is_persistent=facts.get("is_persistent") is True,
            autostart=facts.get("autostart") is True,
            metadata=metadata if isinstance(metadata, str) else "",
            home=place,
            was_destination_clean=facts.get("was_destination_clean") is True,
            emulator_here=_cpus(facts.get("emulator_here")),
            emulator_there=_cpus(facts.get("emulator_there")),
            nvram=nvram if isinstance(nvram, str) else "",
        )


def nvram_path(xml: str | None) -> str:
    """The file of its UEFI variables, as its host has it; "" where it has none, or it is no file.

    >>> nvram_path("<domain><os><nvram template='/t'>/n/db_VARS.fd</nvram></os></domain>")
    '/n/db_VARS.fd'
    >>> nvram_path("<domain><os><nvram type='file'><source file='/n/v.fd'/></nvram></os></domain>")
    '/n/v.fd'
    >>> nvram_path("<domain><os/></domain>"), nvram_path(None)
    ('', '')
    """
    found = parse(xml, what="The VM's definition").find("os/nvram") if xml is not None else None
    if found is None:
        return ""
    source = found.find("source")
    return (found.text or "").strip() or (source.get("file", "") if source is not None else "")


def _cpus(text: object) -> str:
    """A CPU list as it was kept; "" for anything else."""
    try:
        return CpuSet.parse(text).format() if isinstance(text, str) and text else ""
    except InvalidPinning:
        return ""


def placement_of(vm: Vm, host: str) -> Placement:
    """The map this VM has now, as a placement that could be asked for again."""
    bindings = tuple(
        NodeBinding(node.node_id, tuple(sorted(node.host_nodes)), node.mode)
        for node in vm.virtual_nodes
        if node.host_nodes
    )
    return Placement(vm.uuid, host, bindings, vm.pinning, vm.numa_tune)


def metadata_digest(xml: str | None) -> str:
    """Of the <metadata> of a definition, whatever its white space; "" where there is none.

    >>> metadata_digest("<domain><metadata>  <a/></metadata></domain>") == metadata_digest("<metadata><a/></metadata>")
    True
    >>> metadata_digest("<domain/>")
    ''
    """
    found = _METADATA.search(xml or "")
    if found is None:
        return ""
    text = re.sub(r">\s+<", "><", found[0]).replace('"', "'")
    return hashlib.sha256(text.encode()).hexdigest()
