"""What a VM is plugged into: networks, host devices, mediated devices, machine type, TSC frequency."""

from __future__ import annotations

import numpy as np

from hpconsole.core.model.vm import AssignedDevice, Vm
from hpconsole.core.scheduler.account import HostAccount
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal, Shortage
from hpconsole.core.scheduler.wording import listed

TSC_TOLERANCE_PPM = 250


# Network


def _networks(vms: tuple[Vm, ...], kind: str) -> frozenset[str]:
    return frozenset(nic.source for vm in vms for nic in vm.devices.nics if nic.kind == kind and nic.source)


def _wanted_networks(question: Question) -> frozenset[str]:
    wanted = _networks(question.vms, "network")
    if question.settings.only_required_networks:
        wanted &= question.settings.required_networks
    return wanted


def _accepts_network(question: Question) -> Bools:
    accepted = question.columns.all()
    networks, bridges = _wanted_networks(question), _networks(question.vms, "bridge")
    if networks:
        accepted &= question.columns.coded("networks").test(lambda known: networks <= known)
    if bridges:
        # Hosts without an interface driver tell no bridges at all; then only the start of the VM can tell.
        accepted &= question.columns.coded("bridges").test(lambda known: not known or bridges <= known)
    return accepted


def _because_network(question: Question, row: int) -> Refusal:
    host = question.account(row)
    missing = sorted(_wanted_networks(question) - host.networks)
    if host.bridges:
        missing += sorted(_networks(question.vms, "bridge") - host.bridges)
    shortage = Shortage("networks", len(missing), 0, "networks")
    return Refusal(
        "Network",
        f"{host.name} lacks {'network' if len(missing) == 1 else 'networks'} {listed(missing)}.",
        "NETWORK_MISSING",
        (shortage,),
    )


# HostDevice


def _tied(vm: Vm) -> tuple[AssignedDevice, ...]:
    return tuple(device for device in vm.devices.assigned if not device.is_migratable)


def _accepts_device(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        devices = _tied(vm)
        if not devices:
            continue
        if vm.is_running_somewhere:
            accepted &= question.is_here(vm)
            continue
        if vm.intent.allowed_hosts:
            accepted &= question.columns.rows(vm.intent.allowed_hosts[:1])
        addresses = frozenset(device.address for device in devices if device.kind == "pci")
        if addresses:
            accepted &= question.columns.flag("has_passthrough")
            accepted &= question.columns.coded("pci").test(addresses.issubset)
    return accepted


def _because_device(question: Question, row: int) -> Refusal:
    host = question.account(row)
    for vm in question.vms:
        if _tied(vm) and (refusal := _device_refusal(question, vm, host, row)) is not None:
            return refusal
    return Refusal("HostDevice", f"{host.name} does not have the VM's host devices.", "HOST_DEVICE_UNAVAILABLE")


def _device_refusal(question: Question, vm: Vm, host: HostAccount, row: int) -> Refusal | None:
    names = listed(device.address or device.kind for device in _tied(vm))
    if vm.is_running_somewhere:
        if question.is_on(vm, row):
            return None
        sentence = f"{vm.name} uses devices of {vm.host} that cannot move while it runs: {names}."
        return Refusal("HostDevice", sentence, "WRONG_HOST_FOR_REQUESTED_HOST_DEVICES")
    first = vm.intent.allowed_hosts[:1]
    if first and host.name not in first:
        sentence = f"The host devices of {vm.name} ({names}) are those of {first[0]}."
        return Refusal("HostDevice", sentence, "WRONG_HOST_FOR_REQUESTED_HOST_DEVICES")
    if not host.has_passthrough:
        return Refusal("HostDevice", f"Device passthrough is not enabled on {host.name}.", "HOSTDEV_DISABLED")
    missing = sorted({d.address for d in _tied(vm) if d.kind == "pci"} - host.pci)
    if missing:
        sentence = f"{host.name} has no PCI devices {listed(missing)}."
        shortage = Shortage("PCI devices", len(missing), 0, "devices")
        return Refusal("HostDevice", sentence, "HOST_DEVICE_UNAVAILABLE", (shortage,))
    return None


# MDevice


def _wanted_types(question: Question) -> frozenset[str]:
    return frozenset(kind for vm in question.vms for kind in vm.devices.mediated_types)


def _offers(types: frozenset[tuple[str, int]], wanted: frozenset[str]) -> bool:
    return wanted <= {kind for kind, available in types if available > 0}


def _accepts_mediated(question: Question) -> Bools:
    wanted = _wanted_types(question)
    if not wanted:
        return question.columns.all()
    return question.columns.coded("mediated").test(lambda types: _offers(types, wanted))


def _because_mediated(question: Question, row: int) -> Refusal:
    host = question.account(row)
    known = {kind for kind, _ in host.mediated}
    wanted = sorted(kind for kind in _wanted_types(question) if not _offers(host.mediated, frozenset((kind,))))
    absent = [kind for kind in wanted if kind not in known]
    kind = "HOST_MDEV_DEVICE_MISSING" if absent else "HOST_MDEV_DEVICE_UNAVAILABLE"
    sentence = (
        f"{host.name} offers no mediated devices of type {listed(absent)}."
        if absent
        else f"Every mediated device of type {listed(wanted)} on {host.name} is in use."
    )
    return Refusal("MDevice", sentence, kind, (Shortage("mediated devices", len(wanted), 0, "devices"),))


# Emulated-Machine


def _accepts_machine(question: Question) -> Bools:
    wanted = frozenset(vm.machine for vm in question.vms if vm.machine)
    if not wanted:
        return question.columns.all()
    return question.columns.coded("machine_types").test(lambda known: wanted <= known)


def _because_machine(question: Question, row: int) -> Refusal:
    host = question.account(row)
    missing = sorted({vm.machine for vm in question.vms if vm.machine} - host.machine_types)
    sentence = (
        f"{host.name} does not offer machine type {listed(missing)}."
        if host.machine_types
        else f"{host.name} does not tell its machine types; {listed(missing)} is needed."
    )
    return Refusal("Emulated-Machine", sentence, "UNSUPPORTED_EMULATED_MACHINE")


# Migration-Tsc-Frequency


def _needs_tsc(question: Question, vm: Vm) -> float | None:
    """The whole frequency the guest was started with; None where nothing is required."""
    if not vm.intent.needs_tsc_frequency or not vm.is_running_somewhere:
        return None
    source = question.source_of(vm)
    frequency = source.tsc_frequency_hz if source is not None else None
    return None if frequency is None else float(int(frequency))


def tsc_tolerance(frequency: float) -> int:
    """How far another frequency may be off: 250 parts per million, rounded down."""
    return int(frequency * TSC_TOLERANCE_PPM / 1_000_000)


def _accepts_tsc(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        source = _needs_tsc(question, vm)
        if source is None:
            continue
        with np.errstate(invalid="ignore"):
            distance = np.abs(np.trunc(question.columns.number("tsc_frequency_hz")) - source)
            close = distance <= tsc_tolerance(source)
        accepted &= close | question.columns.flag("has_tsc_scaling") | question.is_here(vm)
    return accepted


def _because_tsc(question: Question, row: int) -> Refusal:
    host = question.account(row)
    vm = next((vm for vm in question.vms if _needs_tsc(question, vm) is not None), question.vm)
    its = "unknown" if host.tsc_frequency_hz is None else f"{host.tsc_frequency_hz:,.0f} Hz"
    source = _needs_tsc(question, vm) or 0
    its_own = f"{vm.name} runs with the TSC frequency of {vm.host} ({source:,.0f} Hz)"
    sentence = f"{its_own}; {host.name} has {its} and cannot scale it."
    return Refusal("Migration-Tsc-Frequency", sentence, "TSC_FREQ_MISMATCH")


NETWORK = Filter("Network", _accepts_network, _because_network, "Every network and bridge the VM is plugged into.")
HOST_DEVICE = Filter(
    "HostDevice", _accepts_device, _because_device, "Host devices that cannot move with the VM.", is_mandatory=True
)
MEDIATED_DEVICE = Filter(
    "MDevice", _accepts_mediated, _because_mediated, "A free mediated device of each type.", is_mandatory=True
)
EMULATED_MACHINE = Filter("Emulated-Machine", _accepts_machine, _because_machine, "The VM's machine type.")
TSC_FREQUENCY = Filter(
    "Migration-Tsc-Frequency",
    _accepts_tsc,
    _because_tsc,
    "The TSC frequency the VM was started with, within 250 ppm, or a host that can scale it.",
)
