"""What one attempt to move a VM works with and comes to, as values. Knows no hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hpconsole.core.events import MigrationProgress, StepOutcome
from hpconsole.core.execution.end_states import EndState
from hpconsole.core.execution.journal import JournalWriter
from hpconsole.core.execution.known_before import KnownBefore
from hpconsole.core.hypervisor.pool import ConnectionPool
from hpconsole.core.planning.migration_options import MigrationOptions, effective_policy
from hpconsole.core.planning.migration_policy import BUILT_IN, MigrationPolicy
from hpconsole.core.planning.plan import Step
from hpconsole.core.scheduler.policies import Policy
from hpconsole.core.store import Store


@dataclass(frozen=True, slots=True)
class Timings:
    """How often hosts are asked, and how long they are waited for."""

    poll_s: float = 0.5
    call_s: float = 10.0  # the deadline of one question
    settle_s: float = 3.0  # how long two hosts may take to agree once libvirt's call has returned
    patience_s: float = 600.0  # how long a silent host is asked before the outcome is called unknown
    silence_s: float = 240.0  # how long a migration may send nothing before it is aborted


def preset(options: MigrationOptions) -> MigrationPolicy:
    """The policy these options name, of the built-in ones."""
    return effective_policy(options, BUILT_IN)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an attempt works with."""

    pool: ConnectionPool
    store: Store
    journal: JournalWriter
    policy: Callable[[], Policy]
    timings: Timings = Timings()
    how: Callable[[MigrationOptions], MigrationPolicy] = (
        preset  # the policy of a step, with what its user wants otherwise
    )


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom an attempt tells. Called on its threads; returns at once."""

    on_started: Callable[[Step], None]
    on_progress: Callable[[MigrationProgress], None]
    on_lost_sight: Callable[[str], None]  # a sentence
    on_change: Callable[[str, str], None] = lambda _severity, _sentence: None  # what the user asked for while it runs


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended. `state` None: nothing was begun.

    `is_at_source`: the source was seen to run the VM, whatever older polls say, so that another host may be tried.
    `is_stalled`: the VM writes faster than can be sent, which another host does not change.
    """

    outcome: StepOutcome
    state: EndState | None
    sentence: str
    detail: str
    step: Step
    is_at_source: bool = False
    is_stalled: bool = False
    is_as_planned: bool = True  # of a VM that moved: nothing differs from the plan, nothing could not be carried over
    unchecked: KnownBefore | None = None  # the destination was silent: what may be left there is looked for later
