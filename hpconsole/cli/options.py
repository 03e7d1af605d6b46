"""What every command and the window have in common: which hosts, whose data, how long to wait. Nothing heavy here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpconsole.cli.exit_codes import UsageError
from hpconsole.core.hypervisor.uri import parse_uri


@dataclass(frozen=True, slots=True)
class Options:
    """`hosts` by name and URI for this run; empty = the configured ones, or the simulated cluster's (`demo_seed`)."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    demo_seed: int | None = None
    data: Path | None = None
    timeout_s: float = 15.0


def hosts_from_arguments(texts: Sequence[str]) -> dict[str, str]:
    """`NAME=URI` or `URI` (named after its host) into names and URIs.

    Raises:
        UriRefused: a URI is not accepted.
        UsageError: two hosts have one name.
    """
    hosts: dict[str, str] = {}
    for text in texts:
        name, equals, uri = text.partition("=")
        if not equals or "/" in name or "?" in name:
            name, uri = "", text
        parsed = parse_uri(uri)
        name = name or parsed.host or "localhost"
        if name in hosts:
            raise UsageError(f"Two hosts are named {name}: give them names, as in --connect NAME=URI.")
        hosts[name] = parsed.text
    return hosts
