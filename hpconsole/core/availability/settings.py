"""What an administrator decides about hosts that fail: evacuation, patience, fencing, restarts. Values and their JSON.

Knows no database: whoever keeps documents is given. No password is ever in these values (see `FenceDevice`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.errors import InvalidEdit, ScenarioError
from hpconsole.core.keeping import Documents
from hpconsole.core.scheduler.value_json import from_json, to_json

SETTINGS_KIND = "availability"  # document kind; the one document is named "cluster"
SETTINGS_NAME = "cluster"
FENCE_KIND = "fence_device"  # one document per host, named after it

_AGENT = re.compile(r"fence_[a-z0-9_]{1,60}")
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,60}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
SECRETS = frozenset({"password", "passwd", "passwd_script", "password_script", "snmp_priv_passwd", "identity_file"})


class Evacuation(StrEnum):
    """Which VMs leave a host that is reachable but not fit. Only automatic-mode VMs ever do."""

    ALL = "all"
    ONLY_HIGHLY_AVAILABLE = "only highly available"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AvailabilitySettings:
    """What holds for every host of the cluster."""

    evacuation: Evacuation = Evacuation.ALL
    required_pools: frozenset[str] = frozenset()  # storage pools without which a host is not fit
    not_responding_after_s: float = 60.0  # a host that was silent so long is acted upon
    trouble_after_s: float = 90.0  # trouble that lasted so long is acted upon (devices are read every 60 s)
    fences_automatically: bool = True  # hosts that have a fence device and run highly available VMs
    restarts_automatically: bool = True  # highly available VMs of hosts that are provably off
    first_retry_s: float = 30.0  # ten times, as in the reference (behaviour.md E5) ...
    later_retry_s: float = 1800.0  # ... and then


@dataclass(frozen=True, slots=True)
class FenceDevice:
    """How one host's power is switched: an agent of Debian's fence-agents with its parameters, without the password.

    The password is read when it is needed, from a file that only its owner can read, or from an environment variable.
    """

    host: str
    agent: str  # fence_ipmilan, fence_redfish ...
    parameters: tuple[tuple[str, str], ...] = ()  # as the agent takes them on standard input: ip, username, plug ...
    password_file: str = ""
    password_variable: str = ""
    timeout_s: float = 60.0

    def check(self) -> None:
        """Whether an agent can be started with this.

        Raises:
            InvalidEdit: what cannot be meant, by field.
        """
        if not _AGENT.fullmatch(self.agent):
            raise InvalidEdit("agent", f"{self.agent!r} is no fence agent: their names are like fence_ipmilan.")
        for key, value in self.parameters:
            if not _KEY.fullmatch(key):
                raise InvalidEdit("parameters", f"{key!r} is no parameter of a fence agent.")
            if key in SECRETS:
                sentence = f"{key} is a secret and is not kept: name a file (password_file) or a variable instead."
                raise InvalidEdit("parameters", sentence)
            if any(not character.isprintable() for character in value):
                raise InvalidEdit("parameters", f"The value of {key} holds a character that cannot be sent.")
        if self.password_file and self.password_variable:
            raise InvalidEdit("password_file", "Name a password file or a variable, not both.")
        if self.password_variable and not _VARIABLE.fullmatch(self.password_variable):
            raise InvalidEdit("password_variable", f"{self.password_variable!r} is no environment variable.")
        if not 0 < self.timeout_s <= 600:
            raise InvalidEdit("timeout_s", "A fence agent gets from above 0 to 600 seconds.")


def read_settings(documents: Documents) -> AvailabilitySettings:
    """The settings in force: those kept, or the defaults.

    Raises:
        StorageError: the database cannot be read.
        ScenarioError: what is kept is not understood.
    """
    body = documents.get(SETTINGS_KIND, SETTINGS_NAME)
    if body is None:
        return AvailabilitySettings()
    settings: AvailabilitySettings = from_json(AvailabilitySettings, body, "availability")
    return settings


def save_settings(documents: Documents, settings: AvailabilitySettings) -> None:
    """Keep the settings.

    Raises:
        InvalidEdit: a value no setting can have.
        StorageError: they cannot be kept.
    """
    for field in ("not_responding_after_s", "trouble_after_s", "first_retry_s", "later_retry_s"):
        if not 1 <= getattr(settings, field) <= 86_400:
            raise InvalidEdit(field, f"{field} goes from 1 second to a day.")
    documents.save(SETTINGS_KIND, SETTINGS_NAME, to_json(settings))


def fence_devices(documents: Documents) -> tuple[dict[str, FenceDevice], tuple[str, ...]]:
    """Every fence device by host, and a sentence for each that cannot be used.

    Raises:
        StorageError: the database cannot be read.
    """
    found: dict[str, FenceDevice] = {}
    problems: list[str] = []
    for host, body in documents.all(FENCE_KIND).items():
        try:
            device: FenceDevice = from_json(FenceDevice, {**body, "host": host}, "fence device")
            device.check()
        except (ScenarioError, InvalidEdit) as error:
            problems.append(f"The fence device of {host} cannot be used and does not count: {error.sentence}")
        else:
            found[host] = device
    return found, tuple(problems)


def save_fence_device(documents: Documents, device: FenceDevice) -> None:
    """Keep a host's fence device.

    Raises:
        InvalidEdit: it cannot be used.
        StorageError: it cannot be kept.
    """
    device.check()
    documents.save(FENCE_KIND, device.host, to_json(device))


def remove_fence_device(documents: Documents, host: str) -> None:
    """Forget a host's fence device."""
    documents.remove(FENCE_KIND, host)
