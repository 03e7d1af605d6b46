"""A migration policy as the JSON that is kept and exchanged; read as hostile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpconsole.core.errors import InvalidEdit
from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS, MOST_CONNECTIONS
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

FORMAT = "hpconsole-migration-policy/1"
_LONGEST_MS = 2_000_000  # libvirt's own limit
_MOST_STEPS = 50
_MOST_MIB_S = 1_000_000
_LAST = {"abort": ABORT, "post_copy": POST_COPY}


def to_json(policy: MigrationPolicy) -> dict[str, Any]:
    """The policy as a document."""
    schedule = policy.schedule
    return {
        "format": FORMAT,
        "id": policy.policy_id,
        "name": policy.name,
        "description": policy.description,
        "initial_downtime_ms": next((int(one.params[0]) for one in schedule.initial if one.params), None),
        "stalling": [
            {"stalls": step.limit, "downtime_ms": int(step.action.params[0])}
            for step in schedule.stalling
            if step.action.params
        ],
        "last": [_last(action) for action in schedule.last],
        "max_migrations": policy.max_migrations,
        "auto_converge": policy.auto_converge,
        "compressed": policy.compressed,
        "bandwidth_mib_s": policy.bandwidth_mib_s,
        "parallel_connections": policy.parallel_connections,
        "tls": policy.tls,
    }


def from_json(document: Mapping[str, Any]) -> MigrationPolicy:
    """The policy a document means.

    Raises:
        InvalidEdit: it means none; the sentence says what is wrong with it.
    """
    policy_id, name = document.get("id"), document.get("name")
    if document.get("format") != FORMAT or not isinstance(policy_id, str) or not isinstance(name, str):
        raise InvalidEdit("policy", f"A migration policy is a JSON object of format {FORMAT} with an id and a name.")
    if not policy_id or not name.strip() or any(policy_id == one.policy_id for one in BUILT_IN):
        raise InvalidEdit(
            "policy", f"A migration policy of your own needs a name and an id that no preset has: {name}."
        )
    initial = document.get("initial_downtime_ms")
    stalling, last = document.get("stalling", []), document.get("last", [])
    if not isinstance(stalling, list) or not isinstance(last, list) or len(stalling) + len(last) > _MOST_STEPS:
        raise InvalidEdit("policy", f"The steps of policy {name} are lists of at most {_MOST_STEPS}.")
    steps = tuple(_step(one, name) for one in stalling)
    if [step.limit for step in steps] != sorted({step.limit for step in steps}):
        raise InvalidEdit("policy", f"The stalling steps of policy {name} must each come after more stalls.")
    made = MigrationPolicy(
        policy_id=policy_id,
        name=name,
        description=str(document.get("description", "")),
        schedule=Schedule(
            () if initial is None else (downtime(_pause(initial, name)),),
            steps,
            tuple(_last_action(one, name) for one in last),
        ),
        max_migrations=_count(document.get("max_migrations", 2), name),
        auto_converge=document.get("auto_converge") is True,
        compressed=document.get("compressed") is True,
        bandwidth_mib_s=_optional(document.get("bandwidth_mib_s"), 1, _MOST_MIB_S, "bandwidth_mib_s", name),
        parallel_connections=_optional(
            document.get("parallel_connections"), AUTO_CONNECTIONS, MOST_CONNECTIONS, "parallel_connections", name
        ),
        tls=document.get("tls") is True,
    )
    if problem := conflict_of(made):
        raise InvalidEdit("policy", f"{name}: {problem}")
    return made


def conflict_of(policy: MigrationPolicy) -> str:
    """What of a policy excludes each other, in a sentence; empty if nothing does."""
    if policy.parallel_connections is None:
        return ""
    if policy.schedule != policy.schedule.without_post_copy():
        return "Post-copy cannot be had over parallel connections: choose one of the two."
    if policy.compressed:
        return "Compression cannot be had over parallel connections: choose one of the two."
    return ""


def _last(action: Action) -> str | dict[str, int]:
    word = next((word for word, known in _LAST.items() if known == action), None)
    return word if word is not None else {"downtime_ms": int(action.params[0])}


def _last_action(value: object, name: str) -> Action:
    if isinstance(value, str) and value in _LAST:
        return _LAST[value]
    if isinstance(value, Mapping):
        return downtime(_pause(value.get("downtime_ms"), name))
    raise InvalidEdit("policy", f"The last steps of policy {name} are abort, post_copy, or a downtime_ms.")


def _step(value: object, name: str) -> StallStep:
    if not isinstance(value, Mapping):
        raise InvalidEdit("policy", f"A stalling step of policy {name} has stalls and downtime_ms.")
    return StallStep(_count(value.get("stalls"), name), downtime(_pause(value.get("downtime_ms"), name)))


def _pause(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LONGEST_MS:
        raise InvalidEdit("policy", f"A pause of policy {name} is between 1 and {_LONGEST_MS} ms.")
    return value


def _optional(value: object, least: int, most: int, what: str, name: str) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
        raise InvalidEdit("policy", f"{what} of policy {name} is a number from {least} to {most}, or null.")
    return value


def _count(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000:
        raise InvalidEdit("policy", f"A count of policy {name} is between 1 and 10000.")
    return value
