"""What *Scheduling Policies* holds: every policy, edits that are not saved yet, and what is wrong with them. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from hpconsole.core.scheduler import balancers, filters, weights
from hpconsole.core.scheduler.balancers import Balancer
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.scheduler.policy_book import PolicyBook
from hpconsole.core.scheduler.policy_editing import with_filter, with_parameter, with_weight
from hpconsole.core.scheduler.policy_files import load_policy, save_policy
from hpconsole.core.scheduler.selectors import Selector
from hpconsole.core.scheduler.unit_titles import heading
from hpconsole.core.scheduler.units import Filter, Weight
from hpconsole.ui.policies.parameters import problem_of, value_of

Unit: TypeAlias = Filter | Weight | Balancer | Selector

LONGEST_NAME = 100
NAME = "name"
_NOT_KEPT = "This run remembers nothing: own policies last until it ends. Export what you want to keep."


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy in the list."""

    name: str
    is_built_in: bool
    is_in_force: bool
    is_changed: bool  # edited and not saved

    @property
    def key(self) -> str:
        """What it is selected by."""
        return self.name

    @property
    def text(self) -> str:
        """The name, and whether something of it waits to be saved."""
        return f"{self.name} (not saved)" if self.is_changed else self.name

    @property
    def kind(self) -> str:
        """What it is."""
        kind = "built-in" if self.is_built_in else "own"
        return f"{kind}, in force" if self.is_in_force else kind


def tip_of(unit: Unit) -> str:
    """What a unit does, with the name it has in files and in the reference."""
    tip = f"{unit.help} ({unit.name})"
    return f"{tip} It counts in every policy." if getattr(unit, "is_mandatory", False) else tip


def titled(unit: Unit) -> str:
    """What people call it."""
    return heading(unit.name)


class PoliciesPresenter:
    """The book, and drafts of what is being edited. Everything here is quick, except what `saving` and so on return."""

    def __init__(self, book: PolicyBook, first: str = "") -> None:
        self._book = book
        self._drafts: dict[str, Policy] = {}  # by the name under which the policy is kept
        self._typed: dict[tuple[str, str], str] = {}  # (policy, parameter): a text that is no value
        names = [policy.name for policy in book.all()]
        self.selected = first if first in names else book.chosen.name

    # What is there

    @property
    def rows(self) -> tuple[PolicyRow, ...]:
        """The built-in policies, then the own ones."""
        in_force = self._book.chosen.name
        return tuple(
            PolicyRow(policy.name, policy.is_built_in, policy.name == in_force, self.is_changed(policy.name))
            for policy in self._book.all()
        )

    @property
    def in_force(self) -> Policy:
        """The policy that decides now."""
        return self._book.chosen

    @property
    def stored(self) -> Policy:
        """The selected policy as it is kept."""
        kept = {policy.name: policy for policy in self._book.all()}
        return kept.get(self.selected, self._book.chosen)

    @property
    def draft(self) -> Policy:
        """The selected policy as it is being edited."""
        return self._drafts.get(self.selected, self.stored)

    def is_changed(self, name: str) -> bool:
        """Whether something of this policy waits to be saved."""
        return name in self._drafts or any(policy == name for policy, _ in self._typed)

    @property
    def is_edited(self) -> bool:
        """Whether something of the selected one waits to be saved."""
        return self.is_changed(self.selected)

    @property
    def unsaved(self) -> tuple[str, ...]:
        """The policies with changes that are not saved."""
        return tuple(row.name for row in self.rows if row.is_changed)

    @property
    def locked(self) -> str:
        """Why the selected policy cannot be edited; empty where it can."""
        if not self.stored.is_built_in:
            return ""
        return f"{self.stored.name} is built in and stays as it is. Copy it to make a policy of your own."

    @property
    def note(self) -> str:
        """What is to be known of it before it is edited."""
        return self.locked or ("" if self._book.is_kept else _NOT_KEPT)

    @property
    def compared(self) -> tuple[Policy, Policy, str]:
        """Before, after, and what is compared with what: an edit with what is kept, else with the policy in force."""
        if self.draft != self.stored:
            return self.stored, self.draft, f"Before: {self.stored.name} as it is kept. After: as edited here."
        if self.stored.name == self.in_force.name:
            return self.stored, self.stored, f"{self.stored.name} is in force and not edited: before and after agree."
        return self.in_force, self.draft, f"Before: {self.in_force.name}, in force now. After: {self.draft.name}."

    def uses(self, unit: Unit) -> bool:
        """Whether the draft has this filter, weight or balancer."""
        if isinstance(unit, Filter):
            return unit.is_mandatory or unit.name in self.draft.filters
        if isinstance(unit, Weight):
            return self.factor(unit.name) > 0
        return unit.name in (self.draft.balancer, self.draft.selector)

    def factor(self, weight: str) -> int:
        """What this weight is worth in the draft; 0 = it does not count."""
        return dict(self.draft.weights).get(weight, 0)

    @property
    def balancer(self) -> Balancer:
        """How the draft balances."""
        return balancers.BY_NAME.get(self.draft.balancer, balancers.NONE)

    def is_used(self, parameter: str) -> bool:
        """Whether a unit of the draft reads this parameter."""
        units = (*filters.ALL, *weights.ALL, self.balancer)
        return any(self.uses(unit) and parameter in [one.name for one in unit.parameters] for unit in units)

    def parameter_text(self, name: str) -> str:
        """What stands in the field of a parameter; empty = not set."""
        typed = self._typed.get((self.selected, name))
        value = self.draft.parameters.get(name)
        return typed if typed is not None else "" if value is None else f"{value:g}"

    # Edits of the draft

    def select(self, name: str) -> None:
        """Show this policy; edits of others wait."""
        self.selected = name

    def rename(self, text: str) -> None:
        """Another name, from the next save on."""
        self._keep(replace(self.draft, name=text.strip()))

    def describe(self, text: str) -> None:
        """Another description."""
        self._keep(replace(self.draft, description=text))

    def use_filter(self, name: str, is_on: bool) -> None:
        """With or without a filter."""
        self._keep(with_filter(self.draft, name, is_on=is_on))

    def weigh(self, name: str, factor: int) -> None:
        """What a weight is worth; 0 = it does not count."""
        self._keep(with_weight(self.draft, name, factor))

    def choose_selector(self, name: str) -> None:
        """How weights become an order."""
        self._keep(replace(self.draft, selector=name))

    def choose_balancer(self, name: str) -> None:
        """How load is balanced."""
        self._keep(replace(self.draft, balancer=name))

    def set_parameter(self, name: str, text: str) -> None:
        """A value as it is typed; a text that is no value is kept beside the draft, and said."""
        self._typed.pop((self.selected, name), None)
        if problem_of(name, text):
            self._typed[self.selected, name] = text
        else:
            self._keep(with_parameter(self.draft, name, value_of(text)))

    def revert(self) -> None:
        """Forget what is not saved of the selected policy."""
        self._forget(self.selected)

    def _keep(self, draft: Policy) -> None:
        same = replace(draft, filters=tuple(sorted(draft.filters))) == replace(
            self.stored, filters=tuple(sorted(self.stored.filters))
        )
        if same:
            self._drafts.pop(self.selected, None)
        else:
            self._drafts[self.selected] = draft

    def _forget(self, name: str) -> None:
        self._drafts.pop(name, None)
        self._typed = {key: text for key, text in self._typed.items() if key[0] != name}

    # What is wrong

    @property
    def problems(self) -> Mapping[str, str]:
        """A sentence for each field that holds what cannot be: `name`, or a parameter."""
        found = {
            name: problem_of(name, text)
            for (policy, name), text in self._typed.items()
            if policy == self.selected and self.is_used(name)
        }
        name = self.draft.name
        if not name:
            found[NAME] = "A policy needs a name."
        elif len(name) > LONGEST_NAME:
            found[NAME] = f"A name has at most {LONGEST_NAME} characters."
        elif name != self.selected and any(name == row.name for row in self.rows):
            found[NAME] = f"There is a policy named {name} already."
        elif any(not character.isprintable() for character in name):
            found[NAME] = "The name holds a character that cannot be shown."
        return found

    @property
    def why_not_save(self) -> str:
        """Why the selected policy cannot be saved; empty where it can."""
        if self.locked:
            return self.locked
        problems = self.problems
        if problems:
            return next(iter(problems.values()))
        return "" if self.selected in self._drafts else "Nothing was changed."

    @property
    def why_not_choose(self) -> str:
        """Why it cannot be put in force."""
        if self.selected == self.in_force.name:
            return f"{self.selected} is in force already."
        return f"Save {self.selected} first." if self.is_edited else ""

    @property
    def why_not_remove(self) -> str:
        """Why it cannot be deleted."""
        if self.stored.is_built_in:
            return f"{self.selected} is built in and stays."
        return "It is in force. Put another policy in force first." if self.selected == self.in_force.name else ""

    def key_of(self, policy: Policy) -> str:
        """What it is selected by."""
        return policy.name

    # What is done on a worker thread: each returns what to call, which raises StorageError or ScenarioError

    def saving(self) -> Callable[[], Policy]:
        """Keep the draft."""
        book, old, draft = self._book, self.selected, self.draft

        def save() -> Policy:
            book.replace(old, draft)
            return draft

        return save

    def saved(self, old: str, new: str) -> None:
        """It was kept, under this name."""
        self._forget(old)
        if self.selected == old:
            self.selected = new

    def copying(self) -> Callable[[], Policy]:
        """Keep the selected policy, with what is edited of it, under a free name."""
        book, draft = self._book, self.draft
        made = replace(draft, name=free_name(draft.name or self.selected, book), is_built_in=False)

        def copy() -> Policy:
            book.save(made)
            return made

        return copy

    def choosing(self) -> Callable[[], None]:
        """Put it in force."""
        book, name = self._book, self.selected
        return lambda: book.choose(name)

    def removing(self) -> Callable[[], None]:
        """Forget it."""
        book, name = self._book, self.selected
        return lambda: book.remove(name)

    def removed(self, name: str) -> None:
        """It is gone."""
        self._forget(name)
        if self.selected == name:
            self.selected = self._book.chosen.name

    def exporting(self, path: Path) -> Callable[[], str]:
        """Write it as it is kept; returns a sentence."""
        policy = self.stored

        def export() -> str:
            save_policy(policy, path)
            return f"{policy.name} was written to {path}."

        return export

    def importing(self, path: Path) -> Callable[[], tuple[Policy, str]]:
        """Read one from a file; where its name is taken it gets another, and nothing is replaced."""
        book = self._book

        def bring_in() -> tuple[Policy, str]:
            taken = {known.name for known in book.all()}
            before: list[str] = []

            def rename(name: str) -> str:
                before.append(name)
                return free_name(name, book) if name in taken else name

            made = load_policy(path, rename)
            book.save(made)
            why = f", because there is a policy named {before[0]} already" if made.name != before[0] else ""
            return made, f"{made.name} was imported{why}."

        return bring_in


def free_name(name: str, book: PolicyBook) -> str:
    """A name nobody has yet, made of this one."""
    taken = {policy.name for policy in book.all()}
    stem = name[: LONGEST_NAME - 8]
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"
