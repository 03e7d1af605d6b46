"""What the NUMA Topology dialog shows, as values. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from hpconsole.core.model.vm import NumaMode
from hpconsole.ui.tone import Tone

Key = tuple[str, int]  # VM UUID ("" = not made yet) and number of the virtual node


@dataclass(frozen=True, slots=True)
class Chip:
    """One virtual node."""

    key: Key
    vm_name: str
    title: str
    memory: str
    vcpus: str
    mode: NumaMode
    host_nodes: tuple[int, ...]  # on the host that is shown
    is_locked: bool = False  # of a VM that is not edited here
    why_locked: str = ""

    @property
    def is_spanning(self) -> bool:
        """Whether it lies over several host nodes."""
        return len(self.host_nodes) > 1


@dataclass(frozen=True, slots=True)
class NodeCard:
    """One node of the host."""

    node_id: int
    title: str
    cpus: str
    memory: str
    memory_full: str
    used_share: float | None
    pages: tuple[str, ...]  # a line for each size
    load: str
    load_share: float | None
    chips: tuple[Chip, ...]


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """The nodes of one socket."""

    title: str
    cards: tuple[NodeCard, ...]


@dataclass(frozen=True, slots=True)
class HostMark:
    """One host of the strip."""

    name: str
    tone: Tone
    verdict: str
    reasons: tuple[str, ...]
    is_shown: bool


@dataclass(frozen=True, slots=True)
class NodeDetail:
    """The selected virtual node."""

    chip: Chip
    memory_text: str
    vcpu_text: str
    can_split: bool
    mergeable: tuple[int, ...]  # numbers of the VM's other nodes
    has_own_pin: bool  # on the host that is shown


@dataclass(frozen=True)
class NumaView:
    """Everything."""

    title: str
    summary: str
    hosts: tuple[HostMark, ...]
    host: str
    host_text: str
    groups: tuple[NodeGroup, ...]
    distances: tuple[tuple[int, ...], ...]
    node_ids: tuple[int, ...]
    unpinned: tuple[tuple[str, tuple[Chip, ...]], ...]  # by VM
    selected: NodeDetail | None
    reasons: tuple[str, ...]  # of the shown host
    problem: str
    is_single_host: bool  # pins are drawn for this host only
    can_save: bool
    can_undo: bool
    can_redo: bool
    accept_text: str = "&OK"
