"""How one migration is to be made: a policy, and what the user wants otherwise. Part of a plan's step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from hpconsole.core.planning.migration_policy import (
    AT_LAST,
    MINIMAL_DOWNTIME,
    POST_COPY,
    MigrationPolicy,
    Schedule,
    StallStep,
    downtime,
)

MOST_CONNECTIONS = 255
AUTO_CONNECTIONS = 0
_MIB_S_PER_CONNECTION = 1220.0  # 10 Gbit/s: what one migration thread of QEMU sends


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """What the user wants of one migration. `None`: as the policy has it, or else libvirt's default."""

    policy_id: str | None = None  # None: the default of this console
    bandwidth_mib_s: int | None = None
    downtime_ms: int | None = None  # allowed from the start, instead of the policy's
    parallel_connections: int | None = None  # AUTO_CONNECTIONS: as many as the link and the VM are worth
    compressed: bool | None = None
    auto_converge: bool | None = None
    tls: bool = False
    post_copy: bool = False  # may be switched to, by the user or by the policy's last step
    priority: int | None = None  # None: the VM's own; higher first

    def problem(self) -> str:
        """Why these cannot be had together, in a sentence; empty if they can."""
        if self.parallel_connections is not None and self.post_copy:
            return "Post-copy cannot be had over parallel connections: choose one of the two."
        if self.parallel_connections is not None and self.compressed:
            return "Compression cannot be had over parallel connections: choose one of the two."
        if self.parallel_connections is not None and not 0 <= self.parallel_connections <= MOST_CONNECTIONS:
            return f"Between 1 and {MOST_CONNECTIONS} parallel connections can be had."
        if self.bandwidth_mib_s is not None and self.bandwidth_mib_s < 1:
            return "A bandwidth limit is at least 1 MiB/s."
        if self.downtime_ms is not None and self.downtime_ms < 1:
            return "An allowed pause is at least 1 ms."
        return ""


DEFAULT_OPTIONS = MigrationOptions()


def options_to_json(options: MigrationOptions) -> dict[str, int | str | bool]:
    """What differs from the default, by name."""
    values = ((field.name, getattr(options, field.name)) for field in fields(options))
    return {name: value for name, value in values if value not in (None, False)}


def options_from_json(document: Mapping[str, Any]) -> MigrationOptions:
    """As they were kept; what is missing or unreadable is as by default."""
    found: dict[str, Any] = {}
    for field in fields(MigrationOptions):
        value, default = document.get(field.name), field.default
        is_flag = isinstance(default, bool) or field.name in ("compressed", "auto_converge")
        wanted: type = bool if is_flag else str if field.name == "policy_id" else int
        if type(value) is wanted:
            found[field.name] = value
    options = MigrationOptions(**found)
    return DEFAULT_OPTIONS if options.problem() else options


def effective_policy(
    options: MigrationOptions, policies: Iterable[MigrationPolicy], default_id: str = MINIMAL_DOWNTIME.policy_id
) -> MigrationPolicy:
    """The policy that is followed, with the user's changes. An id nobody knows is *Minimal downtime*: the gentlest.

    Post-copy steps stay only where post-copy may be used; compression does not go over parallel connections.
    """
    wanted = options.policy_id or default_id
    found = next((policy for policy in policies if policy.policy_id == wanted), MINIMAL_DOWNTIME)
    schedule = found.schedule if may_post_copy(options, found) else found.schedule.without_post_copy()
    if options.downtime_ms is not None:
        schedule = _from(schedule, options.downtime_ms)
    is_parallel = options.parallel_connections is not None
    compressed = found.compressed if options.compressed is None else options.compressed
    return replace(
        found,
        schedule=schedule,
        auto_converge=found.auto_converge if options.auto_converge is None else options.auto_converge,
        compressed=compressed and not is_parallel,
    )


def filled(options: MigrationOptions, policy: MigrationPolicy) -> MigrationOptions:
    """The options with what the policy says of bandwidth, connections and TLS, where the user wants nothing else.

    Whoever wants post-copy or compression cannot have the policy's parallel connections, and gets one.
    """
    excludes = options.post_copy or options.compressed is True
    connections_wanted = options.parallel_connections
    if connections_wanted is None and not excludes:
        connections_wanted = policy.parallel_connections
    made = replace(
        options,
        bandwidth_mib_s=policy.bandwidth_mib_s if options.bandwidth_mib_s is None else options.bandwidth_mib_s,
        parallel_connections=connections_wanted,
        tls=options.tls or policy.tls,
    )
    return options if made == options else made


def may_post_copy(options: MigrationOptions, policy: MigrationPolicy) -> bool:
    """Whether the migration is begun so that it can be switched: the user wants it, or the policy ends in it."""
    if options.parallel_connections is not None:
        return False
    steps = (*(step.action for step in policy.schedule.stalling), *policy.schedule.last)
    return options.post_copy or any(action.name == POST_COPY.name for action in steps)


def most_at_once(options: MigrationOptions, policy: MigrationPolicy) -> int:
    """How many migrations of this kind one host sends or takes at a time (behaviour.md D3)."""
    return 1 if options.parallel_connections is not None else policy.max_migrations


def connections(
    options: MigrationOptions, *, vcpus: int, link_mib_s: float | None, spare_cpus: int | None = None
) -> int | None:
    """How many connections are used; None: one, without VIR_MIGRATE_PARALLEL (behaviour.md D3).

    Automatically (there: AUTO_PARALLEL): one per 10 Gbit/s of the link, at most one per vCPU, and per CPU of the source
    that migration threads may have; two at least, also where the link tells no speed.

    Args:
        link_mib_s: what the slower of the two hosts' network cards carries; None: not told.
        spare_cpus: None: no guest has CPUs of its own there.
    """
    wanted = options.parallel_connections
    if wanted is None:
        return None
    if wanted != AUTO_CONNECTIONS:
        return min(wanted, MOST_CONNECTIONS, max(2, vcpus))
    worth = int((link_mib_s or 0.0) / _MIB_S_PER_CONNECTION)
    found = min(worth, vcpus, MOST_CONNECTIONS, MOST_CONNECTIONS if spare_cpus is None else spare_cpus)
    return max(2, found)


def _from(schedule: Schedule, downtime_ms: int) -> Schedule:
    """The schedule that begins with this pause: steps that would allow less are left out."""

    def is_more(step: StallStep) -> bool:
        is_downtime = step.action.name == "setDowntime" and bool(step.action.params)
        return not is_downtime or int(step.action.params[0]) > downtime_ms

    return Schedule(
        (downtime(downtime_ms),),
        tuple(step for step in schedule.stalling if is_more(step)),
        tuple(action for action in schedule.last if is_more(StallStep(AT_LAST, action))),
    )
