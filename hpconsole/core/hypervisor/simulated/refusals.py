"""Errors as a libvirt host gives them: its number, its words, and a sentence around them."""

from __future__ import annotations

from hpconsole.core.errors import OperationRefused
from hpconsole.core.hypervisor.simulated.libvirt_numbers import Err

_PREFIX = {
    Err.INTERNAL_ERROR: "internal error: ",
    Err.INVALID_ARG: "invalid argument: ",
    Err.OPERATION_FAILED: "operation failed: ",
    Err.XML_ERROR: "XML error: ",
    Err.SYSTEM_ERROR: "",
    Err.NO_NETWORK: "Network not found: ",
    Err.NO_STORAGE_POOL: "Storage pool not found: ",
    Err.NO_STORAGE_VOL: "Storage volume not found: ",
    Err.STORAGE_VOL_EXIST: "storage volume exists already: ",
    Err.OPERATION_INVALID: "Requested operation is not valid: ",
    Err.CONFIG_UNSUPPORTED: "unsupported configuration: ",
    Err.OPERATION_TIMEOUT: "Timed out during operation: ",
    Err.OPERATION_ABORTED: "operation aborted: ",
    Err.OPERATION_UNSUPPORTED: "Operation not supported: ",
    Err.CPU_INCOMPATIBLE: "the CPU is incompatible with host CPU: ",
}


def refused(host: str, code: Err, words: str, *, vm: str = "") -> OperationRefused:
    """The error to raise where libvirt on `host` would say no.

    Args:
        words: libvirt's message without the prefix that belongs to its number.
        vm: The VM it is about, if any.
    """
    message = _PREFIX[code] + words
    about = f" for {vm}" if vm else ""
    return OperationRefused(f"{host} refused{about}: {message}.", code=int(code), detail=message, subject=vm or host)
