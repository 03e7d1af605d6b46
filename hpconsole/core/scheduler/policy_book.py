"""Every scheduling policy there is: the built-in ones and the administrator's own, and which of them is in force.

Knows no SQLAlchemy: it is given something that keeps policies and settings (the database, or nothing in a demo).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from hpconsole.core.errors import ScenarioError
from hpconsole.core.keeping import Settings
from hpconsole.core.scheduler.policies import BUILT_IN, DEFAULT_POLICY, Policy, built_in

CHOSEN_KEY = "scheduling_policy"  # in the table of settings: the name of the policy in force


class Policies(Protocol):
    """The part of `PolicyRepository` that is needed here."""

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        """Every policy by name."""

    def save(self, name: str, definition: Mapping[str, Any]) -> None:
        """Keep a policy."""

    def remove(self, name: str) -> None:
        """Forget a policy."""


class Keeper(Protocol):
    """What remembers policies from one run to the next: `core.database.Database`."""

    @property
    def policies(self) -> Policies:
        """Own policies as JSON data."""

    @property
    def settings(self) -> Settings:
        """Values by key."""


class PolicyBook:
    """See the module. Without a keeper, own policies live as long as this run.

    Every change raises StorageError where it cannot be kept, and ScenarioError where it makes no sense; nothing is
    changed then. Threads: any; `chosen` never waits for the database.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._own: Mapping[str, Policy] = {}
        self._unreadable: Mapping[str, str] = {}
        self._chosen = DEFAULT_POLICY.name
        self._keeper: Keeper | None = None

    def all(self) -> tuple[Policy, ...]:
        """The built-in policies, then the own ones by name."""
        return (*BUILT_IN, *(self._own[name] for name in sorted(self._own)))

    def named(self, name: str) -> Policy:
        """The policy of this name.

        Raises:
            ScenarioError: there is none, or it cannot be read.
        """
        policy = built_in(name) or self._own.get(name)
        if policy is not None:
            return policy
        if name in self._unreadable:
            raise ScenarioError(f"The policy {name} cannot be used: {self._unreadable[name]}", subject=name)
        known = ", ".join(policy.name for policy in self.all())
        raise ScenarioError(f"There is no policy named {name}. There are: {known}.", subject=name)

    @property
    def is_kept(self) -> bool:
        """Whether changes outlive this run."""
        return self._keeper is not None

    @property
    def chosen(self) -> Policy:
        """The policy in force; the default one where the chosen one cannot be used."""
        return built_in(self._chosen) or self._own.get(self._chosen, DEFAULT_POLICY)

    def keep_in(self, keeper: Keeper) -> tuple[str, ...]:
        """Read what is kept there, and keep every change there from now on.

        Returns: a sentence for each policy that cannot be read, and one if that is the chosen one.

        Raises:
            StorageError: the database cannot be read; everything stays as it is.
        """
        self._keeper = keeper
        return self.reload()

    def reload(self) -> tuple[str, ...]:
        """Read what another console may have changed. Returns and raises as `keep_in`."""
        if self._keeper is None:
            return ()
        with self._lock:
            definitions, chosen = self._keeper.policies.all(), self._keeper.settings.get(CHOSEN_KEY)
            own, unreadable = _read(definitions) if definitions else ({}, {})
            self._own, self._unreadable = own, unreadable
            self._chosen = chosen if isinstance(chosen, str) else DEFAULT_POLICY.name
            problems = [f"The scheduling policy {name} cannot be used. {why}" for name, why in unreadable.items()]
            if self.chosen.name != self._chosen:
                problems.append(
                    f"The chosen scheduling policy {self._chosen} is not there; {self.chosen.name} counts instead. "
                    "Choose another, or import it anew."
                )
            return tuple(problems)

    def save(self, policy: Policy) -> None:
        """Keep an own policy; one of this name is replaced."""
        from hpconsole.core.scheduler.policy_files import check_policy, policy_data

        own = replace(policy, is_built_in=False)
        check_policy(own)
        with self._lock:
            if self._keeper is not None:
                self._keeper.policies.save(own.name, policy_data(own))
            self._own = {**self._own, own.name: own}
            self._unreadable = {name: why for name, why in self._unreadable.items() if name != own.name}

    def copy(self, name: str, new_name: str) -> Policy:
        """Keep a copy under a name that nobody has yet; the copy."""
        if built_in(new_name) or new_name in self._own or new_name in self._unreadable:
            raise ScenarioError(f"There is a policy named {new_name} already. Choose another name.", subject=new_name)
        made = self.named(name).copied(new_name)
        self.save(made)
        return made

    def replace(self, name: str, policy: Policy) -> None:
        """Keep an own policy as `policy` says, whose name may be another; it stays in force if it was."""
        with self._lock:
            old = self.named(name)
            if old.is_built_in:
                raise ScenarioError(f"{name} is a built-in policy and stays as it is.", subject=name)
            if policy.name != name and any(policy.name == known.name for known in self.all()):
                raise ScenarioError(f"There is a policy named {policy.name} already. Choose another name.")
            self.save(policy)
            if policy.name != name:
                if self._chosen == name:
                    self.choose(policy.name)
                self.remove(name)

    def remove(self, name: str) -> None:
        """Forget an own policy that is not in force."""
        if built_in(name):
            raise ScenarioError(f"{name} is a built-in policy and stays.", subject=name)
        with self._lock:
            if name not in self._own and name not in self._unreadable:
                self.named(name)  # says which there are
            if name == self._chosen:
                raise ScenarioError(f"The policy {name} is in force. Choose another one first.", subject=name)
            if self._keeper is not None:
                self._keeper.policies.remove(name)
            self._own = {known: policy for known, policy in self._own.items() if known != name}
            self._unreadable = {known: why for known, why in self._unreadable.items() if known != name}

    def choose(self, name: str) -> None:
        """Put a policy in force."""
        with self._lock:
            self.named(name)
            if self._keeper is not None:
                self._keeper.settings.set(CHOSEN_KEY, name)
            self._chosen = name


def _read(definitions: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Policy], dict[str, str]]:
    """Own policies, and why others cannot be read, by name."""
    from hpconsole.core.scheduler.policy_files import policy_of  # numpy: only where somebody has own policies

    own: dict[str, Policy] = {}
    unreadable: dict[str, str] = {}
    for name, definition in definitions.items():
        try:
            own[name] = policy_of({**definition, "name": name})
        except ScenarioError as error:
            unreadable[name] = error.sentence
    return own, unreadable
