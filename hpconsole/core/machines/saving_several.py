"""Several VMs changed in one step: everything is checked before anything is written, and what was written is told.

libvirt has no transaction over definitions, so that a host may refuse in the middle; nothing is taken back then, as
taking back could be refused as well. Blocks and asks hosts: never on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpconsole.core.amounts import names
from hpconsole.core.errors import HpconsoleError, InvalidEdit
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.machines.applying import Saved, refuse_errors, refuse_stale, save
from hpconsole.core.machines.draft import VmDraft
from hpconsole.core.machines.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class VmEdit:
    """One VM: where it is defined, as it was opened, as it is to be."""

    host: str
    before: VmDraft
    after: VmDraft


@dataclass(frozen=True, slots=True)
class SavedSeveral:
    """What is true now. `problem` is empty where all were written; else it says which were, which was not, and why."""

    saved: tuple[Saved, ...]
    problem: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not happen as hoped with those that were written."""
        return tuple(f"{one.name}: {note}" for one in self.saved for note in one.notes)


def save_all(pool: ConnectionPool, edits: Sequence[VmEdit], around: Surroundings) -> SavedSeveral:
    """Check all, then write one after the other; the first that a host refuses ends it.

    Raises:
        InvalidEdit, PlanOutOfDate: one of them cannot be so, or was changed by somebody else; nothing was written.
        HypervisorError: a host could not be asked before; nothing was written.
    """
    for edit in edits:
        try:
            refuse_errors(edit.after, replace(around, host=edit.host))
        except InvalidEdit as error:
            sentence = f"{edit.before.name}: {error.sentence} No VM was changed."
            raise InvalidEdit(error.field, sentence, subject=edit.before.name) from error
        refuse_stale(pool, edit.host, edit.before)
    done: list[Saved] = []
    for place, edit in enumerate(edits):
        try:
            done.append(save(pool, edit.host, edit.before, edit.after, around))
        except HpconsoleError as error:
            return SavedSeveral(tuple(done), _told(done, edit, edits[place + 1 :], error))
    return SavedSeveral(tuple(done))


def _told(done: Sequence[Saved], failed: VmEdit, left: Sequence[VmEdit], error: HpconsoleError) -> str:
    written = f"Saved: {names(tuple(one.name for one in done))}." if done else "No VM was changed."
    rest = f" Not tried: {names(tuple(edit.before.name for edit in left))}." if left else ""
    return f"{written} Not saved: {failed.before.name} on {failed.host}. {error.sentence}{rest}"
