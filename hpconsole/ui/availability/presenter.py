"""What *High Availability* shows: each host's proof before the day, its fence device, consequences. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpconsole.core.availability.health import HealthState, HostHealth
from hpconsole.core.availability.report import HostProof, Proof
from hpconsole.core.availability.settings import AvailabilitySettings, Evacuation, FenceDevice
from hpconsole.core.errors import InvalidEdit
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.scheduler.wording import named
from hpconsole.ui import format as fmt
from hpconsole.ui.tone import Tone

if TYPE_CHECKING:
    from hpconsole.core.availability.availability import Availability
    from hpconsole.core.scheduler.policies import Policy
    from hpconsole.core.scheduler.reservations import Reservation

Line = tuple[str, Tone]

_HEALTH: Mapping[HealthState, Tone] = {
    HealthState.FIT: Tone.GOOD,
    HealthState.NON_OPERATIONAL: Tone.WARNING,
    HealthState.NOT_RESPONDING: Tone.BAD,
    HealthState.OFF: Tone.BAD,
    HealthState.UNKNOWN: Tone.MUTED,
}
EVACUATIONS = (
    (Evacuation.ALL, "All VMs in automatic mode leave it"),
    (Evacuation.ONLY_HIGHLY_AVAILABLE, "Only highly available VMs leave it"),
    (Evacuation.NONE, "No VM leaves it"),
)


@dataclass(frozen=True, slots=True)
class View:
    """Everything the dialog shows of one moment; made on a worker thread."""

    snapshot: ClusterSnapshot
    health: Mapping[str, HostHealth]
    proof: Proof
    devices: Mapping[str, FenceDevice]
    problems: tuple[str, ...]  # of devices that cannot be used
    settings: AvailabilitySettings


def look(
    availability: Availability,
    snapshot: ClusterSnapshot,
    policy: Callable[[], Policy],
    reservations: Callable[[], Sequence[Reservation]],
) -> View:
    """Judge every host and prove it anew. Takes some milliseconds per highly available VM; reads a disk."""
    return View(
        snapshot,
        availability.health(),
        availability.proof(policy(), reservations()),
        availability.fence_devices(),
        tuple(availability.fence_device_problems()),
        availability.settings(),
    )


@dataclass(frozen=True, slots=True)
class HostLine:
    """One host as the table shows it."""

    host: str
    health: HostHealth
    proof: HostProof | None
    device: FenceDevice | None

    @property
    def state(self) -> Line:
        """How it is."""
        return self.health.state.value, _HEALTH[self.health.state]

    @property
    def loss(self) -> Line:
        """What its loss would mean."""
        if self.proof is None:
            return "no highly available VM", Tone.MUTED
        lost, back = len(self.proof.unprotected), len(self.proof.restarts)
        if not lost:
            return ("its VM comes back" if back == 1 else f"all {back} come back"), Tone.GOOD
        wants = ", ".join(dict.fromkeys(one.resource for one in self.proof.unprotected))
        return f"lost: {lost} of {lost + back}, for want of {wants}", Tone.BAD

    @property
    def fencing(self) -> Line:
        """Its fence device."""
        if self.device is not None:
            return self.device.agent, Tone.NORMAL
        return "none", (Tone.WARNING if self.proof is not None else Tone.MUTED)


def rows(view: View) -> tuple[HostLine, ...]:
    """One line a host."""
    return tuple(
        HostLine(host, health, view.proof.of(host), view.devices.get(host)) for host, health in view.health.items()
    )


def summary(proof: Proof) -> Line:
    """The sentence above everything."""
    if not proof.hosts:
        return "No running VM is highly available: switch it on in Edit VM for those that must come back.", Tone.MUTED
    lost = unprotected(proof)
    total = sum(len(one.restarts) + len(one.unprotected) for one in proof.hosts)
    if not lost:
        return (
            f"Whichever host fails now, all {fmt.count(total, 'highly available VM')} come back elsewhere.",
            Tone.GOOD,
        )
    hosts = [one.host for one in proof.hosts if one.unprotected]
    which = _either(hosts) if len(hosts) < 4 else f"one of {len(hosts)} hosts"
    return f"If {which} failed now, {fmt.names(lost)} would not come back.", Tone.BAD


def _either(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{', '.join(hosts[:-1])} or {hosts[-1]}"


def unprotected(proof: Proof) -> tuple[str, ...]:
    """The names of the VMs that would not come back, whichever host fails."""
    return tuple(one.vm_name for host in proof.hosts for one in host.unprotected)


def indicator(proof: Proof | None) -> tuple[str, str, Tone]:
    """The status bar's word about it, what it means, and its tone; empty where no VM is highly available."""
    if proof is None or not proof.hosts:
        return "", "", Tone.MUTED
    lost = unprotected(proof)
    sentence = summary(proof)[0]
    if not lost:
        return "HA: every host may fail", f"{sentence} Click for the proof.", Tone.MUTED
    return f"HA: {fmt.count(len(lost), 'VM')} unprotected", f"{sentence} Click to see for want of what.", Tone.BAD


def details(line: HostLine) -> tuple[Line, ...]:
    """All that is known of one host's loss, a line each."""
    found: list[Line] = []
    if line.health.state is not HealthState.FIT:
        found.append((line.health.sentence or f"{line.host} is {line.health.state.value}.", line.state[1]))
    proof = line.proof
    if proof is None:
        found.append((f"{line.host} runs no highly available VM: its loss would restart nothing.", Tone.MUTED))
        return tuple(found)
    found.append((proof.sentence, Tone.NORMAL))
    for one in proof.unprotected:
        found.append((f"{one.vm_name}: for want of {one.resource}. {one.sentence}", Tone.BAD))
        found += [(f"    {named(host, reason)}", Tone.MUTED) for host, reason in one.hosts]
    found += [(f"{name} starts on {host}.", Tone.GOOD) for _, name, host in proof.restarts]
    found += [(warning, Tone.WARNING) for warning in proof.warnings]
    return tuple(found)


# Fencing and confirming


def why_not_fence(line: HostLine | None) -> str:
    """Why this host cannot be switched off from here; empty where it can."""
    if line is None:
        return "Select a host first."
    if line.device is None:
        return f"{line.host} has no fence device: describe one on the Fence Device page."
    return ""


def why_not_confirm(line: HostLine | None, snapshot: ClusterSnapshot) -> str:
    """Why nobody can say that this host is off; empty where somebody may."""
    if line is None:
        return "Select a host first."
    host = snapshot.hosts.get(line.host)
    if host is not None and host.link.state is LinkState.CONNECTED:
        return f"{line.host} answers, so it is not off."
    return f"{line.host} is known to be off already." if line.health.state is HealthState.OFF else ""


def why_greyed(line: HostLine | None, snapshot: ClusterSnapshot) -> str:
    """Beside the two buttons: why each that is grey is so, to be read without a mouse."""
    fence, confirm = why_not_fence(line), why_not_confirm(line, snapshot)
    if fence == confirm:
        return fence
    told = (("Fence", fence), ("Confirm Host Is Off", confirm))
    return "\n".join(f"{button}: {sentence}" for button, sentence in told if sentence)


def fence_consequences(line: HostLine, snapshot: ClusterSnapshot) -> tuple[Line, ...]:
    """What switching this host off means."""
    host = snapshot.hosts.get(line.host)
    names = tuple(sorted((vm.name for vm in snapshot.vms_on(line.host)), key=fmt.natural))
    agent = line.device.agent if line.device is not None else "its fence device"
    if host is not None and host.link.state is LinkState.CONNECTED:
        running = f"{line.host} answers. {agent} takes its power away at once"
        end = f"{fmt.names(names)} {'ends' if len(names) == 1 else 'end'}"
        what = f": {end} without shutting down, and what was not written to disk is lost." if names else "."
        return ((running + what, Tone.BAD), *_afterwards(line))
    what = f"{line.host} does not answer. {agent} takes its power away; what may still run there ends."
    return ((what, Tone.WARNING), *_afterwards(line))


def confirm_consequences(line: HostLine) -> tuple[Line, ...]:
    """What saying that this host is off means."""
    return (
        (f"Only you can know: hpconsole takes your word that {line.host} has no power.", Tone.NORMAL),
        (
            f"If {line.host} still runs, its highly available VMs will run twice and damage their disks. Look at the "
            "machine or at its power switch first.",
            Tone.BAD,
        ),
        *_afterwards(line),
    )


def _afterwards(line: HostLine) -> tuple[Line, ...]:
    proof = line.proof
    if proof is None:
        return ((f"No highly available VM ran on {line.host}, so nothing is restarted elsewhere.", Tone.MUTED),)
    found: list[Line] = []
    if proof.restarts:
        told = [f"{name} on {host}" for _, name, host in proof.restarts]
        found.append((f"Then the console that acts restarts {fmt.names(told, 8)}.", Tone.NORMAL))
    if proof.unprotected:
        lost = fmt.names(tuple(one.vm_name for one in proof.unprotected), 8)
        verb = "does" if len(proof.unprotected) == 1 else "do"
        found.append((f"{lost} {verb} not come back elsewhere.", Tone.BAD))
    found.append(("VMs that are not highly available stay down until somebody starts them.", Tone.MUTED))
    return tuple(found)


# The fence device's form

PASSWORDS = (("", "No password"), ("file", "In a file"), ("variable", "In an environment variable"))
_OWN_FIELDS = ("ip", "username")


@dataclass(frozen=True, slots=True)
class DeviceForm:
    """A fence device as it is typed. `rest`: further parameters, one `key=value` a line."""

    agent: str = ""
    address: str = ""
    user: str = ""
    rest: str = ""
    source: str = ""  # of the password: "", file, variable
    place: str = ""  # the file or the variable
    timeout_s: int = 60


def device_form(device: FenceDevice | None) -> DeviceForm:
    """What the form shows of a device."""
    if device is None:
        return DeviceForm()
    parameters = dict(device.parameters)
    rest = "\n".join(f"{key}={value}" for key, value in device.parameters if key not in _OWN_FIELDS)
    source = "file" if device.password_file else "variable" if device.password_variable else ""
    return DeviceForm(
        device.agent,
        parameters.get("ip", ""),
        parameters.get("username", ""),
        rest,
        source,
        device.password_file or device.password_variable,
        round(device.timeout_s),
    )


def device_of(host: str, form: DeviceForm) -> FenceDevice:
    """The device the form describes.

    Raises:
        InvalidEdit: it cannot be used, by field.
    """
    if not form.agent.strip():
        raise InvalidEdit("agent", "Choose the agent that switches this kind of machine.")
    parameters = [(key, value.strip()) for key, value in zip(_OWN_FIELDS, (form.address, form.user), strict=True)]
    kept = [(key, value) for key, value in parameters if value]
    for line in filter(None, map(str.strip, form.rest.splitlines())):
        key, equals, value = line.partition("=")
        if not equals:
            raise InvalidEdit("parameters", f"{line} is no parameter: write key=value, one a line.")
        if key.strip() in {known for known, _ in kept}:
            raise InvalidEdit("parameters", f"{key.strip()} is given twice.")
        kept.append((key.strip(), value.strip()))
    place = form.place.strip()
    if form.source and not place:
        raise InvalidEdit("password", "Say where the password is.")
    if form.source == "file" and not place.startswith("/"):
        raise InvalidEdit("password", "Name the file with its whole path, beginning with /.")
    device = FenceDevice(
        host,
        form.agent.strip(),
        tuple(kept),
        password_file=place if form.source == "file" else "",
        password_variable=place if form.source == "variable" else "",
        timeout_s=float(form.timeout_s),
    )
    device.check()
    return device


# Settings


def pools_of(text: str) -> frozenset[str]:
    """Names separated by commas."""
    return frozenset(filter(None, (part.strip() for part in text.split(","))))


def unknown_pools(settings: AvailabilitySettings, snapshot: ClusterSnapshot) -> str:
    """A warning about required pools that no host has; empty where there is none."""
    known = frozenset().union(*(host.devices.storage_pools for host in snapshot.hosts.values()))
    missing = tuple(sorted(settings.required_pools - known))
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{fmt.names(missing)} {verb} active on no host: every host would be non-operational."
