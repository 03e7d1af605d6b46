"""Everything the Migrate dialog shows, as frozen values. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hpconsole.core.scheduler.units import Refusal, WeightPart
from hpconsole.ui.migrate.picture import HostPicture


class PinRow(NamedTuple):
    """One thread or one virtual node: what it is bound to now, and there."""

    what: str
    now: str
    there: str

    @property
    def is_moved(self) -> bool:
        """Whether it is bound differently there."""
        return self.now != self.there


@dataclass(frozen=True, slots=True)
class HostDetail:
    """The pinning of one VM on one host beside what it has now. `misfit` says why there is none."""

    host: str
    vm_uuid: str
    now: HostPicture | None = None
    there: HostPicture | None = None
    rows: tuple[PinRow, ...] = ()
    misfit: str = ""
    remark: str = ""


class HostLine(NamedTuple):
    """One host in the list. `rank` counts suitable hosts from 1; None = unsuitable or not known yet."""

    name: str
    rank: int | None
    is_suitable: bool
    is_known: bool  # whether the verdict is there
    is_destination: bool  # VMs would go here now
    score: float
    verdict: str
    parts: tuple[WeightPart, ...]
    refusals: tuple[Refusal, ...]
    will_help: str
    cpu_pct: float | None
    memory_free_kib: int | None
    memory_kib: int | None


class VmLine(NamedTuple):
    """One VM in the list of what moves. `destination` empty = it stays."""

    uuid: str
    name: str
    source: str
    destination: str
    remark: str


@dataclass(frozen=True, slots=True)
class MigrateView:
    """The dialog at one moment."""

    title: str
    vms: tuple[VmLine, ...]
    is_automatic: bool
    automatic_text: str  # which host it would be now, and why
    chosen_text: str  # the label of the second choice
    status: str
    is_computing: bool
    hosts: tuple[HostLine, ...]
    highlighted: HostLine | None
    highlighted_vm: str
    detail: HostDetail | None
    problem: str  # why Migrate is not possible; empty = it is, or is not known yet
    warnings: tuple[str, ...]
    button_text: str
    can_migrate: bool
