"""Which connection URIs hpconsole opens, and why it refuses the others.

A URI is text from a user, a file or another machine: libvirt would let it run a local program, skip the check of
the host's identity or ask on a terminal. What is accepted is rebuilt from its parts, so that libvirt never parses
the text that was typed. Knows nothing of connections.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from hpconsole.core.errors import UriRefused

_LONGEST = 1024
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?\.?")
# The first character keeps a user or host name from being read as an option by ssh.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+$\\-]{0,63}")

_LIBVIRT_SOCKETS = frozenset(
    f"{run}/libvirt/{daemon}-sock" for run in ("/run", "/var/run") for daemon in ("libvirt", "virtqemud")
)


class Transport(StrEnum):
    """How the host's libvirt is reached. The values are libvirt's words."""

    LOCAL = "local"
    SSH = "ssh"
    LIBSSH = "libssh"
    LIBSSH2 = "libssh2"
    TLS = "tls"
    TCP = "tcp"
    TEST = "test"
    SIMULATED = "simulated"

    @property
    def is_ssh(self) -> bool:
        """Whether SSH carries it, by whichever program or library."""
        return self in (Transport.SSH, Transport.LIBSSH, Transport.LIBSSH2)


_REMOTE = {f"qemu+{t}": t for t in (Transport.SSH, Transport.LIBSSH, Transport.LIBSSH2, Transport.TLS, Transport.TCP)}
_DEFAULT_PORTS = {Transport.TLS: 16514, Transport.TCP: 16509}


@dataclass(frozen=True, slots=True)
class HostUri:
    """An accepted URI. `text` is rebuilt from the parts: equal URIs have equal texts."""

    transport: Transport
    path: str
    host: str = ""  # name or address, an IPv6 address without brackets; "" = this machine
    port: int | None = None
    user: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The URI, in libvirt's words."""
        return self._with(self.parameters)

    @property
    def opening_text(self) -> str:
        """The text to open it with: SSH is told to fail rather than to ask on a terminal."""
        if self.transport is not Transport.SSH or any(name == "no_tty" for name, _ in self.parameters):
            return self.text
        return self._with((*self.parameters, ("no_tty", "1")))

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody on the way can read or change what is said."""
        return self.transport is not Transport.TCP

    @property
    def warning(self) -> str:
        """What the user must know before using it; empty if nothing."""
        if self.is_encrypted:
            return ""
        return (
            f"The connection to {self.host} is neither encrypted nor authenticated: anybody on the network can read "
            "it and control the host. Use qemu+ssh or qemu+tls outside of a trusted, separate network."
        )

    @property
    def address(self) -> str:
        """The host as it stands in a URI: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def migrate_uri(self) -> str | None:
        """Where QEMU of another host sends a migration to; None where the URI names no host."""
        return f"tcp://{self.address}" if self.host and self.transport is not Transport.SIMULATED else None

    @property
    def probe_address(self) -> tuple[str, int] | None:
        """Host and TCP port that must accept a connection before libvirt's can; None = cannot be told beforehand."""
        if self.transport not in _DEFAULT_PORTS:
            return None  # an SSH host may be an alias in the user's ssh_config, or lie behind another
        return self.host, self.port or _DEFAULT_PORTS[self.transport]

    def _with(self, parameters: tuple[tuple[str, str], ...]) -> str:
        scheme = _SCHEMES[self.transport]
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in parameters)
        return f"{scheme}://{user}{self.address}{port}{quote(self.path)}{'?' if query else ''}{query}"


_SCHEMES = {transport: scheme for scheme, transport in _REMOTE.items()} | {
    Transport.LOCAL: "qemu",
    Transport.TEST: "test",
    Transport.SIMULATED: "sim",
}


@dataclass(frozen=True, slots=True)
class _Allowed:
    local_programs: bool
    unverified: bool


def parse_uri(text: str, *, allow_local_programs: bool = False, allow_unverified: bool = False) -> HostUri:
    """Read a connection URI strictly.

    Args:
        text: As typed or stored.
        allow_local_programs: Accept parameters that name programs to run (`command`, `netcat`).
        allow_unverified: Accept what weakens the check of the host's identity (`no_verify`, odd sockets ...).

    Raises:
        UriRefused: it is not accepted; the sentence says why and what to write instead.
    """
    allowed = _Allowed(allow_local_programs, allow_unverified)
    if len(text) > _LONGEST:
        raise UriRefused(f"The connection URI is longer than {_LONGEST} characters.")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise _refused(text, "it holds spaces, control characters, backslashes or letters outside of ASCII")
    try:
        parts = urlsplit(text)
        if parts.netloc.rpartition("@")[2].count(":") > 1 and "[" not in parts.netloc:
            raise _refused(text, "an IPv6 address stands in brackets: qemu+ssh://[2001:db8::1]/system")
        port = parts.port
    except ValueError as error:
        raise _refused(text, f"it cannot be read ({error})") from error
    if parts.password is not None:
        raise UriRefused(
            "A connection URI may not hold a password: it would be stored and shown. Use an SSH key or a certificate."
        )
    if parts.fragment or text.endswith("#"):
        raise _refused(text, "it holds a “#”")
    if "://" not in text:
        raise _refused(text, "it has no “://”")
    transport = _transport(text, parts.scheme, parts.netloc)
    uri = HostUri(
        transport=transport,
        host=_host(text, transport, parts.netloc),  # before the path: without a host nothing about paths helps
        path=_path(text, transport, unquote(parts.path)),
        port=_port(text, port),
        user=_user(text, transport, parts.username),
        parameters=_parameters(text, transport, parts.query, allowed),
    )
    if transport in (Transport.LOCAL, Transport.TEST, Transport.SIMULATED) and uri.port:
        raise _refused(text, "it names a port of a host that is not reached over the network")
    return uri


def _refused(text: str, why: str) -> UriRefused:
    shown = "".join(c if c.isprintable() else "?" for c in text[:80])  # a cause may be that it is unprintable
    shown = re.sub(r"(?<=//)[^/@]*@", "…@", shown)  # what stands there might be a password
    return UriRefused(f"The connection URI “{shown}” is not accepted: {why}.")


def _transport(text: str, scheme: str, netloc: str) -> Transport:
    if scheme in ("qemu", "qemu+unix", "test", "sim"):
        transport = {"test": Transport.TEST, "sim": Transport.SIMULATED}.get(scheme, Transport.LOCAL)
        if netloc and transport is Transport.LOCAL:
            # libvirt reads qemu://host/ as TLS; one has to mean it.
            raise _refused(text, "it names a host but no transport; write qemu+ssh:// or qemu+tls://")
        if netloc and transport is Transport.TEST:
            raise _refused(text, "the test driver runs on this machine only; write test:///default")
        return transport
    if scheme in _REMOTE:
        return _REMOTE[scheme]
    if scheme.endswith("+ext"):
        raise _refused(text, "“+ext” makes libvirt run a program of this machine; use qemu+ssh or qemu+tls")
    if scheme.partition("+")[0] != "qemu":
        raise _refused(text, "hpconsole manages QEMU/KVM hosts; write qemu+ssh://HOST/system")
    raise _refused(text, "its transport is unknown; use qemu+ssh, qemu+tls, qemu+tcp or qemu:///system")


def _path(text: str, transport: Transport, path: str) -> str:
    if transport is Transport.SIMULATED:
        if path not in ("", "/"):
            raise _refused(text, "a simulated host has no path")
        return ""
    if transport is Transport.TEST:
        if not path.startswith("/") or not path.isprintable() or path == "/" or ".." in path.split("/"):
            raise _refused(text, "write test:///default, or test:/// and the full path of an XML file")
        return path
    if path == "/session":
        raise _refused(text, "a user's own session has no CPU or NUMA pinning; write /system instead of /session")
    if path != "/system":
        raise _refused(text, "after the host there must be /system")
    return path


def _host(text: str, transport: Transport, netloc: str) -> str:
    if transport in (Transport.LOCAL, Transport.TEST):
        return ""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):
        return _ipv6(text, host)
    name = host.partition(":")[0]
    if not name:
        scheme, path = text.partition("://")[0], "" if transport is Transport.SIMULATED else "/system"
        raise _refused(text, f"the host is missing; write {scheme}://HOST{path}")
    if not _HOST_NAME.fullmatch(name):
        raise _refused(text, "its host is neither a host name nor an address")
    return name


def _ipv6(text: str, host: str) -> str:
    inner, bracket, rest = host[1:].partition("]")
    if not bracket or "%" in inner or (rest and not rest.startswith(":")):
        raise _refused(text, "its host is no IPv6 address in brackets")
    try:
        return str(ipaddress.IPv6Address(inner))
    except ValueError as error:
        raise _refused(text, "its host is no IPv6 address") from error


def _port(text: str, port: int | None) -> int | None:
    if port == 0:
        raise _refused(text, "0 is no port")
    return port


def _user(text: str, transport: Transport, user: str | None) -> str:
    if user is None:
        return ""
    name = unquote(user)
    if not transport.is_ssh:
        raise _refused(text, "only SSH takes a user name")
    if not _USER.fullmatch(name):
        raise _refused(text, "its user name holds characters that no user name has")
    return name


def _parameters(text: str, transport: Transport, query: str, allowed: _Allowed) -> tuple[tuple[str, str], ...]:
    if ";" in query:
        raise _refused(text, "its parameters are separated by “;”; write “&”")
    found: dict[str, str] = {}
    for item in query.split("&") if query else ():
        raw_name, equals, raw_value = item.partition("=")
        name, value = unquote(raw_name).lower(), unquote(raw_value)  # libvirt ignores the case of names
        if not equals or not value or not value.isprintable():
            raise _refused(text, f"its parameter “{name[:40]}” has no usable value")
        if name in found:
            raise _refused(text, f"its parameter “{name[:40]}” is given twice")
        if why := _unacceptable(transport, name, value, allowed):
            raise _refused(text, f"its parameter “{name[:40]}” {why}")
        found[name] = value
    if found.get("known_hosts_verify", "normal") != "normal" and not allowed.unverified:
        raise _refused(text, "“known_hosts_verify” must be “normal”, or another machine could pose as the host")
    return tuple(found.items())


_PROGRAMS = {
    "command": "makes libvirt run a program of this machine",
    "netcat": "makes the host run a program of the URI's choice",
}
_WEAKENING = {
    "no_verify": "skips the check that the host is the one it claims to be",
    "no_sanity": "skips the check of the certificates",
    "tls_priority": "can switch encryption off",
    "known_hosts_verify": "",  # judged by its value
}
_FOR_SSH = frozenset(
    {"keyfile", "known_hosts", "known_hosts_verify", "sshauth", "proxy", "no_tty", "netcat", "command"}
)
_FOR_TLS = frozenset({"pkipath", "no_sanity", "tls_priority"})
_FOR_BOTH = frozenset({"no_verify", "socket", "mode"})
_CHOICES = {
    "proxy": ("auto", "native", "netcat"),
    "mode": ("auto", "direct", "legacy"),
    "no_tty": ("1",),
    "no_verify": ("0", "1"),
    "no_sanity": ("0", "1"),
    "known_hosts_verify": ("normal", "auto", "ignore"),
}


def _unacceptable(transport: Transport, name: str, value: str, allowed: _Allowed) -> str:
    """What is wrong with a parameter, as the end of a sentence; empty if it is accepted."""
    if name in _PROGRAMS and not allowed.local_programs:
        return f"{_PROGRAMS[name]}; a setting may allow that"
    if _WEAKENING.get(name) and value != "0" and not allowed.unverified:
        return f"{_WEAKENING[name]}; a setting may allow that"
    if name == "socket" and value not in _LIBVIRT_SOCKETS and not allowed.unverified:
        return "is not where libvirt listens; a setting may allow that"
    known = (_FOR_SSH if transport.is_ssh else _FOR_TLS if transport is Transport.TLS else frozenset()) | _FOR_BOTH
    if name not in known or transport in (Transport.TEST, Transport.SIMULATED):
        return "is not known for this transport"
    if name in ("keyfile", "known_hosts", "pkipath", "command", "socket") and not value.startswith("/"):
        return "must be a full path"
    if name == "sshauth" and not re.fullmatch(r"(agent|privkey)(,(agent|privkey))?", value):
        return "may name agent and privkey only: hpconsole asks for no password"
    if name in _CHOICES and value not in _CHOICES[name]:
        return f"must be {' or '.join(_CHOICES[name])}"
    return ""
