"""Migration options as text: what the user wants otherwise, in a line, and as kept between runs. No Qt.

What is kept is a file that others may write to: what cannot be read counts as nothing wanted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from hpconsole.core.planning.migration_options import AUTO_CONNECTIONS, DEFAULT_OPTIONS, MigrationOptions
from hpconsole.core.planning.migration_policy import MigrationPolicy
from hpconsole.ui import format as fmt

_LONGEST = 2000
_COUNTS = ("bandwidth_mib_s", "downtime_ms", "parallel_connections")
_SWITCHES = ("compressed", "auto_converge")
_FLAGS = ("tls", "post_copy")


def in_words(options: MigrationOptions, policy: MigrationPolicy) -> str:
    """What is wanted otherwise than the policy has it; empty where nothing is.

    >>> from hpconsole.core.planning.migration_policy import MINIMAL_DOWNTIME
    >>> in_words(MigrationOptions(bandwidth_mib_s=400, auto_converge=False, tls=True), MINIMAL_DOWNTIME)
    'at most 400 MiB/s, no auto-converge, TLS'
    """
    parts = []
    if options.bandwidth_mib_s is not None:
        parts.append(f"at most {fmt.mib_s(options.bandwidth_mib_s)}")
    if options.downtime_ms is not None:
        parts.append(f"pause of {fmt.milliseconds(options.downtime_ms)} allowed")
    if options.parallel_connections == AUTO_CONNECTIONS:
        parts.append("parallel connections")
    elif options.parallel_connections is not None:
        parts.append(fmt.count(options.parallel_connections, "connection"))
    for wanted, usual, name in (
        (options.compressed, policy.compressed, "compression"),
        (options.auto_converge, policy.auto_converge, "auto-converge"),
    ):
        if wanted is not None and wanted != usual:
            parts.append(name if wanted else f"no {name}")
    parts += ["TLS"] if options.tls else []
    parts += ["post-copy allowed"] if options.post_copy else []
    parts += [f"priority {options.priority}"] if options.priority is not None else []
    return ", ".join(parts)


def to_text(options: MigrationOptions) -> str:
    """As it is kept; priorities belong to one plan and are not."""
    return json.dumps({name: value for name, value in asdict(options).items() if name != "priority"})


def from_text(text: object) -> MigrationOptions:
    """As it was kept.

    >>> from_text('{"bandwidth_mib_s": -4, "tls": true}').bandwidth_mib_s is None, from_text("[").tls
    (True, False)
    """
    try:
        kept = json.loads(text) if isinstance(text, str) and len(text) < _LONGEST else None
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        return DEFAULT_OPTIONS
    known = {field.name for field in fields(MigrationOptions)}
    values: dict[str, object] = {}
    for name, value in kept.items():
        is_count = type(value) is int and 0 <= value < 10**9
        if name in known and (
            (name == "policy_id" and isinstance(value, str))
            or (name in _COUNTS and is_count)
            or (name in (*_SWITCHES, *_FLAGS) and type(value) is bool)
        ):
            values[name] = value
    options = MigrationOptions(**values)  # type: ignore[arg-type]  # each value was looked at above
    return DEFAULT_OPTIONS if options.problem() else options
