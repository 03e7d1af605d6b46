"""Migration policies: how hard a live migration tries, and what it does when it stalls (behaviour.md D3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

AT_LAST = -1  # limit of steps that run when the migration still stalls after all others

Value = int | float | str
Convergence = dict[str, list[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Action:
    """Something done to a running migration: `setDowntime`, `abort`, `postcopy`."""

    name: str
    params: tuple[Value, ...] = ()

    def as_map(self) -> dict[str, object]:
        """As it is sent."""
        return {"name": self.name, "params": list(self.params)}


@dataclass(frozen=True, slots=True)
class StallStep:
    """After `limit` iterations without progress, do this."""

    limit: int
    action: Action


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is done at the start, and step by step when a migration stalls."""

    initial: tuple[Action, ...] = ()
    stalling: tuple[StallStep, ...] = ()
    last: tuple[Action, ...] = ()

    def as_map(self) -> Convergence:
        """As it is sent: the last actions become steps with limit -1."""
        steps = (*self.stalling, *(StallStep(AT_LAST, action) for action in self.last))
        return {
            "init": [action.as_map() for action in self.initial],
            "stalling": [{"limit": step.limit, "action": step.action.as_map()} for step in steps],
        }

    def without_post_copy(self) -> Schedule:
        """For paused VMs and parallel connections."""
        return Schedule(
            self.initial,
            tuple(step for step in self.stalling if step.action.name != POST_COPY.name),
            tuple(action for action in self.last if action.name != POST_COPY.name),
        )


@dataclass(frozen=True, slots=True)
class MigrationPolicy:
    """A named way to migrate."""

    policy_id: str
    name: str
    schedule: Schedule = Schedule()
    max_migrations: int = 2
    auto_converge: bool = False
    compressed: bool = False
    guest_events: bool = True
    zero_copy: bool = False
    description: str = ""
    bandwidth_mib_s: int | None = None  # None: as much as there is
    parallel_connections: int | None = None  # as in `MigrationOptions`; None: one
    tls: bool = False


def downtime(milliseconds: int) -> Action:
    """Allow so long a pause at the switch-over."""
    return Action("setDowntime", (milliseconds,))


ABORT = Action("abort")
POST_COPY = Action("postcopy")


def _stalling(*steps: tuple[int, int]) -> tuple[StallStep, ...]:
    return tuple(StallStep(limit, downtime(milliseconds)) for limit, milliseconds in steps)


_PATIENT = _stalling((1, 150), (2, 200), (3, 300), (4, 400), (6, 500))
NO_POLICY = MigrationPolicy("no_policy", "Legacy", max_migrations=2, guest_events=False)
MINIMAL_DOWNTIME = MigrationPolicy(
    "minimal_downtime",
    "Minimal downtime",
    Schedule((downtime(100),), _PATIENT, (ABORT,)),
    auto_converge=True,
    description="Short pauses only; given up if the guest writes faster than it can be sent.",
)
SUSPEND_IF_NEEDED = MigrationPolicy(
    "suspend_workload_if_needed",
    "Suspend workload if needed",
    Schedule((downtime(100),), _PATIENT, (downtime(5000), ABORT)),
    max_migrations=1,
    auto_converge=True,
    compressed=True,
    description="As the first, but accepts a pause of up to five seconds before it gives up.",
)
POST_COPY_POLICY = MigrationPolicy(
    "post_copy",
    "Post-copy migration",
    Schedule((downtime(100),), _stalling((1, 150), (2, 200)), (POST_COPY, ABORT)),
    auto_converge=True,
    description="Switches over and fetches the rest: always ends, but a broken network or host may then cost the VM.",
)
VERY_LARGE_VMS = MigrationPolicy(
    "very_large_vms",
    "Very large VMs",
    Schedule(
        (downtime(300),),
        _stalling((1, 400), (2, 500), (3, 700), (4, 1000), (6, 1500)),
        (downtime(5000), ABORT),
    ),
    max_migrations=1,
    auto_converge=True,
    zero_copy=True,
    description="Allows longer pauses, at last one of five seconds; one migration of a host at a time.",
)
BUILT_IN = (MINIMAL_DOWNTIME, SUSPEND_IF_NEEDED, POST_COPY_POLICY, VERY_LARGE_VMS)


def find(policies: Iterable[MigrationPolicy], policy_id: str | None) -> MigrationPolicy:
    """The policy of this id; one nobody knows is the legacy policy, as in the reference."""
    return next((policy for policy in policies if policy.policy_id == policy_id), NO_POLICY)


def read_policies(configured: str | Sequence[object] | None) -> tuple[MigrationPolicy, ...]:
    """Policies from a configuration value (JSON text or its parsed list); what cannot be read counts as none."""
    if isinstance(configured, str):
        try:
            configured = json.loads(configured)
        except ValueError:
            return ()
    if not isinstance(configured, Sequence) or isinstance(configured, str):
        return ()
    return tuple(_policy(item) for item in configured if isinstance(item, Mapping) and "id" in item)


def _policy(item: Mapping[str, object]) -> MigrationPolicy:
    count = item.get("maxMigrations", item.get("max_migrations", 2))
    return MigrationPolicy(
        policy_id=_identity(item["id"]),
        name=str(item.get("name", "")),
        max_migrations=count if isinstance(count, int) and count > 0 else 2,
        auto_converge=bool(item.get("autoConvergence", False)),
        compressed=bool(item.get("migrationCompression", False)),
    )


def _identity(value: object) -> str:
    return str(value.get("uuid", "")) if isinstance(value, Mapping) else str(value)
