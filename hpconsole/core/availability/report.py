"""What is said of availability, as values for the window and the command line. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hpconsole.core.scheduler.units import Shortage


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A highly available VM that could not be restarted, with the resource it fails on.

    `hosts` has each remaining host's own reason; `resource` is the one that is missing least (or the rule in the way).
    """

    vm_uuid: str
    vm_name: str
    resource: str
    sentence: str
    shortages: tuple[Shortage, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()  # (host, reason)


@dataclass(frozen=True, slots=True)
class HostProof:
    """If this host failed now: which of its highly available VMs restart where, all of them together, and which not."""

    host: str
    restarts: tuple[tuple[str, str, str], ...] = ()  # (VM's UUID, VM's name, host it would start on)
    unprotected: tuple[Unprotected, ...] = ()
    warnings: tuple[str, ...] = ()  # what stands against fencing or a safe restart

    @property
    def is_safe(self) -> bool:
        """Whether every highly available VM of it would come back."""
        return not self.unprotected

    @property
    def sentence(self) -> str:
        """How many of its highly available VMs would come back."""
        back, total = len(self.restarts), len(self.restarts) + len(self.unprotected)
        if total == 1:
            return f"If {self.host} failed now: its only highly available VM would {'' if back else 'not '}come back."
        return f"If {self.host} failed now: {back or 'none'} of its {total} highly available VMs would come back."


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof before the day, for every host with highly available VMs. Based on the snapshot of this serial."""

    hosts: tuple[HostProof, ...]
    serial: int
    taken_at: datetime | None = None

    @property
    def is_safe(self) -> bool:
        """Whether the cluster survives the loss of any one host."""
        return all(host.is_safe for host in self.hosts)

    def of(self, host: str) -> HostProof | None:
        """The proof of one host; None where it runs no highly available VM."""
        return next((proof for proof in self.hosts if proof.host == host), None)
