"""Which connected hosts are one machine under two names? Its VMs would seem to run twice, and be stopped for it.

Pure. Tells from what the hosts say of themselves, not from the names they were configured under.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from hpconsole.core.model.host import Host, LinkState

_Machine = tuple[str, str, str]


def without_duplicates(hosts: Mapping[str, Host]) -> dict[str, Host]:
    """The hosts, in their order; of those connected that are one machine, all but the first are refused, with the
    reason as their link's problem. While the first does not answer, the next one stands for the machine.
    """
    first: dict[_Machine, str] = {}
    result: dict[str, Host] = {}
    for name, host in hosts.items():
        machine = _machine(host) if host.link.state is LinkState.CONNECTED else None
        earlier = first.setdefault(machine, name) if machine is not None else name
        result[name] = host if earlier == name else _refused(host, earlier)
    return result


def _machine(host: Host) -> _Machine | None:
    """What tells machines apart; None where the host does not say.

    The UUID comes from the firmware, and makers are known to have given one to many boards: the host name must agree.
    libvirt's test driver has no UUID of its own; each of its paths is a machine.
    """
    address = urlsplit(host.uri)
    if address.scheme.partition("+")[0] == "test":
        return "test", host.hostname.lower(), address.path
    return (host.uuid.lower(), host.hostname.lower(), "") if host.uuid else None


def _refused(host: Host, earlier: str) -> Host:
    problem = f"{host.name} is the same machine as {earlier}; remove one of them. Its VMs are shown on {earlier}."
    return replace(host, link=replace(host.link, state=LinkState.REFUSED, problem=problem))
