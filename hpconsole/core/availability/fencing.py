"""Switches a host's power through a fence agent (Debian's fence-agents), and says whether it is provably off.

An agent is a program that takes `key=value` lines on standard input. No shell; the password goes to standard input
only, is never an argument, an environment variable of the agent, or a line of the log.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hpconsole.core.availability.settings import FenceDevice
from hpconsole.core.errors import StepFailed

_log = logging.getLogger(__name__)

FOLDERS = "/usr/sbin:/usr/local/sbin"
FOLDERS_VARIABLE = "HPCONSOLE_FENCE_AGENTS"  # other folders to look for agents in, as PATH is written
# Exit code and words of `action=status`. The code alone proves nothing: 2 stands for wrong parameters, too.
_STATUS = {0: "status: on", 2: "status: off"}
_LONGEST = 300
_LARGEST_SECRET = 4096


class Power(StrEnum):
    """What an agent says of a host's power."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class PowerReport:
    """One answer. `sentence` names host and agent, and what the agent said where it failed; never the password."""

    power: Power
    sentence: str


def status(device: FenceDevice) -> PowerReport:
    """Whether the host has power. Blocks for up to the device's time-out.

    Raises:
        StepFailed: the agent cannot be started (not installed, no password).
    """
    done = _run(device, "status")
    if done is None:
        return PowerReport(
            Power.UNKNOWN, f"{device.agent} did not say within {device.timeout_s:g} s how {device.host} is."
        )
    words = _STATUS.get(done.returncode)
    if words is not None and words in (line.strip().lower() for line in done.stdout.splitlines()):
        power = Power(words.rpartition(" ")[2])
        return PowerReport(power, f"{device.agent} says that {device.host} is {power.value}.")
    return PowerReport(Power.UNKNOWN, f"{device.agent} cannot tell how {device.host} is: {_said(device, done)}.")


def switch_off(device: FenceDevice) -> PowerReport:
    """Switch the host off and make sure of it: only an agent that afterwards says *off* is a proof.

    Blocks for up to twice the device's time-out.

    Raises:
        StepFailed: the agent cannot be started; nothing was changed.
    """
    done = _run(device, "off")
    report = status(device)
    if report.power is Power.OFF:
        return PowerReport(Power.OFF, f"{device.agent} switched {device.host} off and says that it is off.")
    if done is None:
        why = f"it did not finish within {device.timeout_s:g} s"
    elif done.returncode:
        why = _said(device, done)
    else:
        why = "it says it did, and yet the host is not off"
    return PowerReport(
        report.power, f"{device.agent} could not switch {device.host} off: {why}. Its power is {report.power.value}."
    )


def find_agent(device: FenceDevice, environment: Mapping[str, str] = os.environ) -> Path:
    """The agent's program.

    Raises:
        StepFailed: it is not installed.
        InvalidEdit: the device cannot be meant.
    """
    device.check()
    folders = environment.get(FOLDERS_VARIABLE) or FOLDERS
    found = shutil.which(device.agent, path=folders)
    if found is None:
        raise StepFailed(
            f"{device.agent} is not installed on this machine (looked in {folders}): {device.host} cannot be switched "
            "off, nothing was changed. Install the package fence-agents.",
            subject=device.host,
        )
    return Path(found)


def installed_agents(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The names of the agents on this machine. Reads folders."""
    found: set[str] = set()
    for folder in (environment.get(FOLDERS_VARIABLE) or FOLDERS).split(os.pathsep):
        try:
            found.update(path.name for path in Path(folder).glob("fence_*") if os.access(path, os.X_OK))
        except OSError as error:
            _log.info("%s cannot be looked into: %s", folder, error)
    return tuple(sorted(found))


def _run(device: FenceDevice, action: str) -> subprocess.CompletedProcess[str] | None:
    """Start the agent once; None where it did not end in time (it is killed then)."""
    agent = find_agent(device)
    lines = [f"action={action}", *(f"{key}={value}" for key, value in device.parameters)]
    secret = _password(device)
    if secret:
        lines.append(f"password={secret}")
    _log.info("%s: %s, action %s", device.host, device.agent, action)
    environment = {name: value for name, value in os.environ.items() if name != device.password_variable}
    try:
        return subprocess.run(
            [str(agent)],
            input="\n".join([*lines, ""]),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=device.timeout_s,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise StepFailed(
            f"{device.agent} cannot be started ({error.strerror}): {device.host} cannot be switched off.",
            detail=str(error),
            subject=device.host,
        ) from error


def _password(device: FenceDevice) -> str:
    if device.password_variable:
        secret = os.environ.get(device.password_variable, "")
        if not secret:
            raise _no_password(device, f"the variable {device.password_variable} is not set")
    elif device.password_file:
        secret = _read_secret(device, Path(device.password_file))
    else:
        return ""
    if "\n" in secret or "\0" in secret:
        raise _no_password(device, "it holds a line break")
    return secret


def _read_secret(device: FenceDevice, path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise _no_password(device, f"{path} can be read by others: chmod 600 it")
            return file.read(_LARGEST_SECRET).removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_password(device, f"{path} cannot be read") from error


def _no_password(device: FenceDevice, why: str) -> StepFailed:
    sentence = f"There is no password for the fence device of {device.host}: {why}. Nothing was changed."
    return StepFailed(sentence, subject=device.host)


def _said(device: FenceDevice, done: subprocess.CompletedProcess[str]) -> str:
    """The agent's last words on one line, without the password should it repeat it."""
    text = " ".join((done.stderr or done.stdout).split()) or f"it ended with code {done.returncode}"
    secret = _password(device)
    if secret:
        text = text.replace(secret, "…")
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text[-_LONGEST:].rstrip(". ")
