"""What *Migration Policies* holds: presets, own policies, edits not saved yet, and what is wrong with them. No Qt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

from hpconsole.core.errors import InvalidEdit, StorageError
from hpconsole.core.execution.advice import MigrationPolicies
from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS
from hpconsole.core.planning.migration_policy import (
    ABORT,
    BUILT_IN,
    POST_COPY,
    Action,
    MigrationPolicy,
    Schedule,
    StallStep,
    downtime,
)
from hpconsole.core.planning.migration_policy_json import conflict_of, from_json, to_json
from hpconsole.ui import format as fmt

NAME, STEPS, TOGETHER = "name", "steps", "together"
LONGEST_NAME = 100
LONGEST_FILE = 1024 * 1024
FIRST_LONG_PAUSE_MS = 5000


class LastResort(StrEnum):
    """What is done when the guest still writes faster than can be sent after every step."""

    GIVE_UP = "give up"
    PAUSE = "pause"
    POST_COPY = "post-copy"
    NOTHING = "nothing"
    OTHER = "other"  # of a file: kept as it is


LAST_RESORTS: tuple[tuple[LastResort, str], ...] = (
    (LastResort.GIVE_UP, "Give up; the VM goes on where it is"),
    (LastResort.PAUSE, "Allow a long pause, then give up"),
    (LastResort.POST_COPY, "Switch to post-copy, then give up"),
    (LastResort.NOTHING, "Go on until somebody decides"),
)


@dataclass(frozen=True, slots=True)
class WayRow:
    """One policy in the list."""

    key: str
    name: str
    is_preset: bool
    is_default: bool
    is_changed: bool

    @property
    def text(self) -> str:
        """The name, and whether something waits to be saved."""
        return f"{self.name} (not saved)" if self.is_changed else self.name

    @property
    def kind(self) -> str:
        """What it is."""
        kind = "preset" if self.is_preset else "own"
        return f"{kind}, default" if self.is_default else kind


class WaysPresenter:
    """Quick, except what `saving` and so on return, which write to a disk on a worker thread."""

    def __init__(self, ways: MigrationPolicies) -> None:
        self._ways = ways
        self._drafts: dict[str, MigrationPolicy] = {}
        self.selected = ways.default_id

    # What is there

    @property
    def rows(self) -> tuple[WayRow, ...]:
        """The presets, then the own ones by name."""
        default_id = self._ways.default_id
        return tuple(
            WayRow(one.policy_id, one.name, one in BUILT_IN, one.policy_id == default_id, one.policy_id in self._drafts)
            for one in self._ways.all()
        )

    @property
    def stored(self) -> MigrationPolicy:
        """The selected policy as it is kept."""
        known = {policy.policy_id: policy for policy in self._ways.all()}
        return known.get(self.selected, known[self._ways.default_id])

    @property
    def draft(self) -> MigrationPolicy:
        """The selected policy as it is being edited."""
        return self._drafts.get(self.selected, self.stored)

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Names of the policies with changes that are not saved."""
        return tuple(row.name for row in self.rows if row.is_changed)

    @property
    def is_edited(self) -> bool:
        """Whether the selected one was edited."""
        return self.selected in self._drafts

    @property
    def locked(self) -> str:
        """Why the selected policy cannot be edited; empty where it can."""
        if self.stored not in BUILT_IN:
            return ""
        return f"{self.stored.name} is a preset and stays as it is. Copy it to make a policy of your own."

    @property
    def note(self) -> str:
        """What is to be known of it before it is edited."""
        return self.locked

    # The schedule as fields

    @property
    def initial_ms(self) -> int | None:
        """The pause allowed from the start; None: libvirt's own."""
        return next((int(one.params[0]) for one in self.draft.schedule.initial if one.params), None)

    @property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """(stalls, pause in ms)."""
        return tuple((s.limit, int(s.action.params[0])) for s in self.draft.schedule.stalling if s.action.params)

    @property
    def last(self) -> LastResort:
        """What is done at last."""
        actions = self.draft.schedule.last
        if actions == (ABORT,):
            return LastResort.GIVE_UP
        if actions == (POST_COPY, ABORT):
            return LastResort.POST_COPY
        if not actions:
            return LastResort.NOTHING
        is_pause = len(actions) == 2 and actions[1] == ABORT and bool(actions[0].params)
        return LastResort.PAUSE if is_pause else LastResort.OTHER

    @property
    def last_pause_ms(self) -> int:
        """The long pause allowed at last."""
        first = self.draft.schedule.last[:1]
        return int(first[0].params[0]) if self.last is LastResort.PAUSE and first else FIRST_LONG_PAUSE_MS

    # Edits of the draft

    def select(self, policy_id: str) -> None:
        """Show this one; edits of others wait."""
        self.selected = policy_id

    def change(self, **values: Any) -> None:
        """Other values of the policy's own fields: name, description, auto_converge ..."""
        self._keep(replace(self.draft, **values))

    def set_initial(self, pause_ms: int | None) -> None:
        """The pause allowed from the start."""
        self._schedule(initial=() if pause_ms is None else (downtime(pause_ms),))

    def set_steps(self, steps: Sequence[tuple[int, int]]) -> None:
        """(stalls, pause in ms), in order."""
        self._schedule(stalling=tuple(StallStep(stalls, downtime(pause_ms)) for stalls, pause_ms in steps))

    def next_step(self) -> tuple[int, int]:
        """What a further step begins with: later, and more patient."""
        if not self.steps:
            return 1, 2 * (self.initial_ms or 75)
        stalls, pause_ms = self.steps[-1]
        return stalls + 1, min(pause_ms * 3 // 2, 2_000_000)

    def set_last(self, last: LastResort, pause_ms: int = FIRST_LONG_PAUSE_MS) -> None:
        """What is done at last."""
        actions: Mapping[LastResort, tuple[Action, ...]] = {
            LastResort.GIVE_UP: (ABORT,),
            LastResort.PAUSE: (downtime(pause_ms), ABORT),
            LastResort.POST_COPY: (POST_COPY, ABORT),
            LastResort.NOTHING: (),
        }
        self._schedule(last=actions.get(last, self.draft.schedule.last))

    def revert(self) -> None:
        """Forget what is not saved."""
        self._drafts.pop(self.selected, None)

    def _schedule(self, **values: Any) -> None:
        schedule: Schedule = replace(self.draft.schedule, **values)
        self.change(schedule=schedule)

    def _keep(self, draft: MigrationPolicy) -> None:
        if draft == self.stored:
            self._drafts.pop(self.selected, None)
        else:
            self._drafts[self.selected] = draft

    # What is wrong, and what it comes to

    @property
    def problems(self) -> Mapping[str, str]:
        """A sentence for each field that holds what cannot be: `name`, `steps`, `together`."""
        found: dict[str, str] = {}
        name = self.draft.name.strip()
        if not name:
            found[NAME] = "A policy needs a name."
        elif any(row.name == name and row.key != self.selected for row in self.rows):
            found[NAME] = f"There is a policy named {name} already."
        elif any(not character.isprintable() for character in name):
            found[NAME] = "The name holds a character that cannot be shown."
        stalls = [limit for limit, _ in self.steps]
        for before, after in pairwise(stalls):
            if after <= before:
                found[STEPS] = f"Each step comes after more stalls than the one before: {after} follows {before}."
        if conflict := conflict_of(self.draft):
            found[TOGETHER] = conflict
        return found

    @property
    def story(self) -> str:
        """What the policy does, in sentences."""
        pause = self.initial_ms
        parts = [
            f"Begins with a pause of at most {fmt.milliseconds(pause)}." if pause else "Begins with libvirt's pause."
        ]
        if self.steps:
            said = ", ".join(f"{fmt.milliseconds(ms)} after {fmt.count(stalls, 'stall')}" for stalls, ms in self.steps)
            parts.append(f"Allows {said}.")
        at_last = {
            LastResort.GIVE_UP: "Then gives up: the VM goes on where it is.",
            LastResort.PAUSE: f"Then allows {fmt.milliseconds(self.last_pause_ms)}, then gives up.",
            LastResort.POST_COPY: "Then switches to post-copy: from there on a broken network or host may cost the VM.",
            LastResort.NOTHING: "Then goes on until it ends or somebody decides.",
            LastResort.OTHER: "Then does what its file says.",
        }
        parts.append(at_last[self.last])
        if self.draft.parallel_connections == AUTO_CONNECTIONS:
            parts.append("Parallel connections where the link is worth them.")
        return " ".join(parts)

    @property
    def why_not_save(self) -> str:
        """Why the selected policy cannot be saved."""
        return self.locked or next(iter(self.problems.values()), "" if self.is_edited else "Nothing was changed.")

    @property
    def why_not_choose(self) -> str:
        """Why it cannot be made the default."""
        if self.selected == self._ways.default_id:
            return "It is the default already."
        return f"Save {self.stored.name} first." if self.is_edited else ""

    @property
    def why_not_remove(self) -> str:
        """Why it cannot be deleted."""
        if self.locked:
            return f"{self.stored.name} is a preset and stays."
        return "It is the default. Make another one the default first." if self.why_not_choose.startswith("It") else ""

    # On a worker thread: each returns what to call, which raises StorageError or InvalidEdit

    def saving(self) -> Callable[[], MigrationPolicy]:
        """Keep the draft."""
        ways, draft = self._ways, replace(self.draft, name=self.draft.name.strip())

        def save() -> MigrationPolicy:
            ways.save(draft)
            return draft

        return save

    def key_of(self, policy: MigrationPolicy) -> str:
        """What it is selected by."""
        return policy.policy_id

    def saved(self, old: str, new: str) -> None:
        """It was kept, under this id."""
        self._drafts.pop(old, None)
        if self.selected == old:
            self.selected = new

    def copying(self) -> Callable[[], MigrationPolicy]:
        """Keep the selected policy, with what is edited of it, under a free name."""
        name = self._free_name(self.draft.name)
        made = replace(self.draft, policy_id=self._ways.free_id(name), name=name)
        return self._keeping(made)

    def choosing(self) -> Callable[[], None]:
        """Make it the default."""
        ways, chosen = self._ways, self.selected
        return lambda: ways.set_default(chosen)

    def removing(self) -> Callable[[], None]:
        """Forget it."""
        ways, doomed = self._ways, self.selected
        return lambda: ways.remove(doomed)

    def removed(self, policy_id: str) -> None:
        """It is gone."""
        self._drafts.pop(policy_id, None)
        self.selected = self._ways.default_id

    def exporting(self, path: Path) -> Callable[[], str]:
        """Write it as it is kept; returns a sentence."""
        policy = self.stored

        def export() -> str:
            try:
                path.write_text(json.dumps(to_json(policy), indent=2) + "\n", encoding="utf-8")
            except OSError as error:
                raise StorageError(f"{path} cannot be written ({error.strerror}).", subject=str(path)) from error
            return f"{policy.name} was written to {path}."

        return export

    def importing(self, path: Path) -> Callable[[], tuple[MigrationPolicy, str]]:
        """Read one from a file; it gets a name and an id of its own, and replaces none. And a sentence."""

        def bring_in() -> tuple[MigrationPolicy, str]:
            document = _read(path)
            name = str(document.get("name", ""))[:LONGEST_NAME]
            known = {row.name for row in self.rows}
            free = self._free_name(name) if name in known else name
            made = from_json({**document, "id": self._ways.free_id(free), "name": free})
            return self._keeping(made)(), f"{made.name} was imported."

        return bring_in

    def _keeping(self, made: MigrationPolicy) -> Callable[[], MigrationPolicy]:
        ways = self._ways

        def keep() -> MigrationPolicy:
            ways.save(made)
            return made

        return keep

    def _free_name(self, name: str) -> str:
        taken = {row.name for row in self.rows}
        stem, number = name.strip()[: LONGEST_NAME - 8] or "Policy", 2
        while f"{stem} {number}" in taken:
            number += 1
        return f"{stem} {number}"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise InvalidEdit("policy", f"{path} is too large for a migration policy.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidEdit("policy", f"{path} cannot be read as a migration policy: it is no JSON text.") from error
    if not isinstance(document, Mapping):
        raise InvalidEdit("policy", f"{path} holds no migration policy.")
    return document
