"""How memory gets from one host to the other: the ways to try, best first, and when the next one is worth a try.

Peer to peer comes first (the hosts finish it even if this console dies); where the source cannot reach the
destination's libvirtd, this console's own two connections carry the protocol instead. URIs are those of the
console's point of view: what only means something here (key files, certificates' folders) is not sent to a host.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from hpconsole.core.errors import AuthenticationFailed, HypervisorError, OperationRefused
from hpconsole.core.hypervisor.port import MigrationTransport

# libvirt's error numbers for "the other libvirtd could not be reached or let nobody in".
_CODES = {
    5,  # VIR_ERR_NO_CONNECT
    39,  # VIR_ERR_RPC: the other end closed the connection
    40,  # VIR_ERR_GNUTLS_ERROR
    45,  # VIR_ERR_AUTH_FAILED
    79,  # VIR_ERR_AUTH_CANCELLED
    85,  # VIR_ERR_SSH
    94,  # VIR_ERR_AUTH_UNAVAILABLE
    98,  # VIR_ERR_LIBSSH
}
# Other numbers stand for too much (VIR_ERR_SYSTEM_ERROR is any failed system call): there libvirt's words decide.
_WORDS = (
    "failed to connect to remote libvirt uri",
    "unable to connect to server",
    "unable to resolve address",
    "cannot recv data",  # ssh ended: refused, unknown host key, no route
    "end of file while reading data",
)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to try."""

    transport: MigrationTransport
    destination_uri: str
    migrate_uri: str | None


def routes(source_uri: str, destination_uri: str) -> tuple[Route, ...]:
    """The ways to try, best first. At least one.

    Where the destination's URI names no address that another host could use (it is this machine, the end of a tunnel
    here, or simulated), QEMU's address is left to libvirt, which takes the destination's host name.
    """
    address = _address(destination_uri)
    if _is_simulated(source_uri):
        return (
            Route(MigrationTransport.PEER_TO_PEER, destination_uri, None),
            Route(MigrationTransport.CLIENT_MANAGED, destination_uri, None),
        )
    if address is None:
        return (Route(MigrationTransport.CLIENT_MANAGED, destination_uri, None),)
    migrate_uri = f"tcp://{address}"
    return (
        Route(MigrationTransport.PEER_TO_PEER, uri_for_a_host(destination_uri), migrate_uri),
        Route(MigrationTransport.CLIENT_MANAGED, destination_uri, migrate_uri),
        # The name in our URI may mean something here only (an ssh alias); the host's own name may be known there.
        Route(MigrationTransport.CLIENT_MANAGED, destination_uri, None),
    )


def uri_for_a_host(uri: str) -> str:
    """The console's URI of a host as another host may use it: the parameters stay here.

    >>> uri_for_a_host("qemu+tls://b.example/system?pkipath=/home/me/pki")
    'qemu+tls://b.example/system'
    >>> uri_for_a_host("qemu+ssh://root@b/system?keyfile=/home/me/.ssh/id")
    'qemu+ssh://root@b/system?no_tty=1'
    """
    parts = urlsplit(uri)
    # Nobody sits at the source host to type a password: ssh must fail at once, so that the next way is tried.
    query = "no_tty=1" if parts.scheme.endswith("+ssh") else ""
    return parts._replace(query=query, fragment="").geturl()


def is_worth_another_route(error: HypervisorError) -> bool:
    """Whether the migration failed on the way to the other host, before anything was moved."""
    if isinstance(error, AuthenticationFailed):
        return True
    if not isinstance(error, OperationRefused):
        return False
    text = f"{error.detail} {error.sentence}".lower()
    return error.code in _CODES or any(words in text for words in _WORDS)


def _address(uri: str) -> str | None:
    """The host part, as it stands in a URI: IPv6 addresses keep their brackets. None: it means this machine only."""
    host = urlsplit(uri).hostname
    if not host or _is_loopback(host):
        return None
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    """Whether each machine means itself by it.

    >>> [_is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "10.0.0.1", "b.example")]
    [True, True, True, False, False]
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_simulated(uri: str) -> bool:
    return urlsplit(uri).scheme.partition("+")[0] not in ("qemu", "xen", "ch")
