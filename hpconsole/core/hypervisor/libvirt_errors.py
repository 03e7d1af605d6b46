"""libvirt's errors in hpconsole's words: which kind, and a sentence with the host's name and no secrets."""

from __future__ import annotations

import re

import libvirt

from hpconsole.core.errors import (
    AuthenticationFailed,
    ConnectionLost,
    HostUnreachable,
    HypervisorError,
    OperationRefused,
    VmNotFound,
)

_LONGEST = 600
_SECRET = re.compile(r"((?:passw(?:or)?d|secret|passphrase)\w*\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE)

_AUTHENTICATION = frozenset(
    {libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_CANCELLED, libvirt.VIR_ERR_AUTH_UNAVAILABLE}
)
UNSUPPORTED = frozenset(
    {
        libvirt.VIR_ERR_NO_SUPPORT,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    }
)

# What ssh and TLS say can only be told by their words: libvirt gives all of it as VIR_ERR_SYSTEM_ERROR.
# Trying again by itself helps with none of these.
_DENIED = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|HOST KEY .*CHANGED",
        "its SSH key is not the one this machine knows. Somebody may pose as the host. If it was installed anew, "
        "remove the old key with “ssh-keygen -R {host}” and connect once with ssh to check the new one",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "its SSH key is not known here. Connect once with “ssh {host}”, check the key it shows, and try again",
    ),
    (
        r"Permission denied|Too many authentication failures|no supported authentication|Authentication failed",
        "it accepts none of your SSH keys. Put your public key there (ssh-copy-id), or load it into your agent",
    ),
    (
        r"Cannot read CA certificate|CA certificate.*(not found|missing)",
        "this machine has no certificate of the authority that signed the host's. Put it where libvirt looks "
        "(/etc/pki/CA/cacert.pem), or name its folder with the URI's parameter pkipath",
    ),
    (
        r"certificate|TLS handshake|gnutls",
        "its certificate, or yours, is not accepted. Check authority, host name and dates of both",
    ),
    (
        r"polkit|Access denied|authentication unavailable",
        "you may not manage it. Join the group libvirt there, or have an administrator allow org.libvirt.unix.manage",
    ),
)
_UNREACHABLE = (
    (r"Connection refused", "nothing listens there. Check that libvirt's daemon (or sshd) runs and its port is right"),
    (r"No route to host|Network is unreachable", "there is no way to it. Check that it is on and the network is up"),
    (r"resolve", "its name is not known. Check the spelling, or write its address"),
    (r"timed out", "it does not answer. Check that it is on and no firewall is in the way"),
    (r"libvirt(d)?-sock.*No such file|virtqemud-sock.*No such file", "libvirt's daemon does not run there. Start it"),
    (r"virt-ssh-helper|nc: .*not found|command not found", "libvirt's daemon is not installed there"),
)


def opening_error(words: str, host: str, *, code: int = 0) -> HypervisorError:
    """Why no connection could be opened.

    Args:
        words: What libvirt, ssh or the system said (see `words_of`).
        code: libvirt's error number, if it was libvirt.
    """
    for pattern, why in _DENIED:
        if re.search(pattern, words, re.IGNORECASE):
            sentence = f"Host {host} cannot be used: {why.format(host=host)}."
            return AuthenticationFailed(sentence, detail=words, subject=host)
    if code in _AUTHENTICATION:
        return AuthenticationFailed(f"Host {host} let nobody in: {words}.", detail=words, subject=host)
    why = next((why for pattern, why in _UNREACHABLE if re.search(pattern, words, re.IGNORECASE)), words)
    return HostUnreachable(f"Host {host} cannot be reached: {why}.", detail=words, subject=host)


def calling_error(error: libvirt.libvirtError, host: str, *, is_alive: bool, vm_uuid: str = "") -> HypervisorError:
    """Why a call on an open connection failed."""
    code, words = error.get_error_code() or 0, words_of(error)
    if not is_alive or code == libvirt.VIR_ERR_INVALID_CONN:
        return ConnectionLost(
            f"The connection to host {host} broke; whether the last request took effect is not known. "
            "hpconsole connects again by itself.",
            detail=words,
            subject=host,
        )
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return VmNotFound(f"Host {host} has no such VM (any more).", detail=words, subject=vm_uuid)
    return OperationRefused(f"Host {host} refused: {words}.", code=code, detail=words, subject=vm_uuid or host)


def words_of(error: libvirt.libvirtError) -> str:
    """What libvirt said, fit for a sentence."""
    return clean(error.get_error_message() or str(error))


def clean(text: str) -> str:
    """A text from outside as part of a sentence: one line, without secrets, not too long, no full stop at the end."""
    text = " ".join(text.split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    text = _SECRET.sub(r"\1…", text)
    return (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…").rstrip(". ")
