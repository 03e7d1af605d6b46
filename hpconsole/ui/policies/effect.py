"""What another policy, or an edit of one, changes for one VM: every host's place before and after. Pure, no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.engine import rank
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.ranking import Ranking
from hpconsole.core.scheduler.request import Request
from hpconsole.core.scheduler.reservations import Reservation
from hpconsole.core.scheduler.unit_titles import title
from hpconsole.ui import format as fmt


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One host. Places count from 1; None = the host refuses the VM."""

    host: str
    before: int | None
    after: int | None
    score: float  # after; 0 where it refuses
    why: str  # after: why it refuses, or what speaks most for it

    @property
    def change(self) -> int:
        """Places gained; a host that begins to take the VM gains, one that no longer does loses."""
        if self.before == self.after:
            return 0
        if self.before is None or self.after is None:
            return 1 if self.before is None else -1
        return self.before - self.after


@dataclass(frozen=True, slots=True)
class Effect:
    """The answer for one VM, hosts in the order after the change, those that refuse last."""

    vm_name: str
    rows: tuple[EffectRow, ...]
    sentence: str


def effect_of(
    vm_uuid: str, snapshot: ClusterSnapshot, before: Policy, after: Policy, reservations: Sequence[Reservation] = ()
) -> Effect:
    """Rank the hosts by both policies. Some milliseconds per thousand hosts: not for a window's thread.

    Raises:
        InvalidEdit: the VM is not there any more.
    """
    request = Request((vm_uuid,))
    old = rank(request, snapshot, before, reservations)
    new = old if after == before else rank(request, snapshot, after, reservations)
    places = {host: place for place, host in enumerate(old.accepted, 1)}
    accepted = [
        EffectRow(host, places.get(host), place, new.score(host), _for(new, host))
        for place, host in enumerate(new.accepted, 1)
    ]
    refused = [
        EffectRow(host, places.get(host), None, 0.0, _against(new, host))
        for host in sorted(new.refused, key=fmt.natural)
    ]
    rows = (*accepted, *refused)
    return Effect(snapshot.vms[vm_uuid].name, rows, _sentence(snapshot.vms[vm_uuid].name, rows, old, new))


def _for(ranking: Ranking, host: str) -> str:
    parts = [part for part in ranking.parts(host) if part.contribution]
    best = sorted(parts, key=lambda part: -part.contribution)[:3]
    return ", ".join(f"{title(part.unit)} {part.contribution:g}" for part in best)


def _against(ranking: Ranking, host: str) -> str:
    return next((reason.sentence for reason in ranking.refusals(host)), "")


def _sentence(name: str, rows: Sequence[EffectRow], old: Ranking, new: Ranking) -> str:
    first, then = old.best, new.best
    moved = sum(1 for row in rows if row.change)
    if not moved:
        return f"Nothing changes for {name}: " + (f"{then} is best." if then else "no host takes it.")
    others = f"{fmt.count(moved, 'host')} {'changes' if moved == 1 else 'change'} place."
    if first == then:
        return f"{then} stays best for {name}. {others}" if then else f"Still no host takes {name}. {others}"
    if then is None:
        return f"No host would take {name} any more; until now {first} was best."
    if first is None:
        return f"{then} would take {name}; until now no host does."
    return f"{then} instead of {first} is best for {name}. {others}"
