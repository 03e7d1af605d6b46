"""Rules people gave: where a VM may be (PinToHost), which way it may move, maintenance and upgrade of the cluster."""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from hpconsole.core.model.vm import MigrationMode, Vm
from hpconsole.core.scheduler.columns import Bools
from hpconsole.core.scheduler.question import Question
from hpconsole.core.scheduler.units import Filter, Refusal
from hpconsole.core.scheduler.wording import listed

# PinToHost


def _accepts_pinned(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        if vm.intent.migration_mode is not MigrationMode.DO_NOT_MIGRATE:
            continue
        if vm.intent.allowed_hosts:
            accepted &= question.columns.rows(vm.intent.allowed_hosts)
        elif vm.is_running_somewhere:
            accepted &= question.columns.all(False)
    return accepted


def _because_pinned(question: Question, row: int) -> Refusal:
    host = question.account(row)
    for vm in question.vms:
        if vm.intent.migration_mode is MigrationMode.DO_NOT_MIGRATE:
            allowed = vm.intent.allowed_hosts
            if allowed and host.name not in allowed:
                sentence = f"{vm.name} does not migrate and is tied to {listed(allowed)}."
                return Refusal("PinToHost", sentence, "NOT_PINNED_TO_HOST")
            if not allowed and vm.is_running_somewhere:
                sentence = f"{vm.name} does not migrate; it stays on {vm.host} while it runs."
                return Refusal("PinToHost", sentence, "NOT_PINNED_TO_HOST")
    return Refusal("PinToHost", f"{host.name} is not among the hosts the VM is tied to.", "NOT_PINNED_TO_HOST")


# Migration


def _is_same_machine(question: Question, vm: Vm) -> Bools:
    """Other names of the host this VM runs on: libvirt migrates to no host of the same host name or UUID."""
    source = question.source_of(vm)
    if source is None:
        return question.columns.all(False)
    same = question.columns.all(False)
    if source.hostname:
        same |= question.columns.coded("hostname").equals(source.hostname)
    if source.uuid:
        same |= question.columns.coded("uuid").equals(source.uuid)
    return same


def _accepts_migration(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        if not vm.is_running_somewhere:
            continue
        here = question.is_here(vm)
        accepted &= ~_is_same_machine(question, vm) | here
        if not question.may_stay:
            accepted &= ~here
    return accepted


def _because_migration(question: Question, row: int) -> Refusal:
    host = question.account(row)
    for vm in question.vms:
        if question.is_on(vm, row):
            return Refusal("Migration", f"{vm.name} runs on {host.name} now.", "SAME_HOST")
    running = next((vm for vm in question.vms if vm.is_running_somewhere), question.vm)
    sentence = f"{host.name} is the same machine as {running.host} (host name {host.hostname or 'unknown'})."
    return Refusal("Migration", sentence, "SAME_HOST")


# ClusterInMaintenance


def _may_move_in_maintenance(vm: Vm) -> bool:
    return vm.is_running_somewhere or vm.intent.high_availability


def _accepts_in_maintenance(question: Question) -> Bools:
    return question.columns.all(all(_may_move_in_maintenance(vm) for vm in question.vms))


def _because_in_maintenance(question: Question, row: int) -> Refusal:
    del row
    vm = next((vm for vm in question.vms if not _may_move_in_maintenance(vm)), question.vm)
    sentence = f"The cluster is in maintenance: only highly available VMs may start, {vm.name} is not one."
    return Refusal("ClusterInMaintenance", sentence, "CLUSTER_IN_MAINTENANCE")


# InClusterUpgrade

_RELEASE = re.compile(r"\s*([^-]*?[^-\s])\s*-\s*(\d{1,6})((?:\.\d+)*)\s*-.*", re.DOTALL)


def operating_system(release: str | None) -> tuple[str, int] | None:
    """(family, major version) of a text such as `RHEL - 9.4 - 1.el9`; None where it is not of that form."""
    match = _RELEASE.fullmatch(release or "")
    return (match[1], int(match[2])) if match else None


def _verdict(source: tuple[str, int], release: str | None) -> str:
    target = operating_system(release)
    if target is None:
        return "INVALID_OS"
    if target[0] != source[0]:
        return "WRONG_OS"
    return "OLD_OS" if target[1] < source[1] else ""


def _is_new_enough(source: tuple[str, int], release: str | None) -> bool:
    return not _verdict(source, release)


def source_system(question: Question, vm: Vm) -> tuple[str, int] | None:
    """The operating system of the host a VM runs on; None if it does not run or the host does not tell."""
    source = question.source_of(vm)
    return operating_system(source.os_release) if source is not None else None


def _accepts_upgrade(question: Question) -> Bools:
    accepted = question.columns.all()
    for vm in question.vms:
        source = source_system(question, vm)
        if source is not None:
            accepted &= question.columns.coded("os_release").test(partial(_is_new_enough, source))
    return accepted


def _because_upgrade(question: Question, row: int) -> Refusal:
    host = question.account(row)
    sentences = {
        "INVALID_OS": "{host} does not tell its operating system.",
        "WRONG_OS": "{host} runs {its}, {source} another system.",
        "OLD_OS": "{host} runs {its}, an older major version than {source}.",
    }
    for vm in question.vms:
        source = source_system(question, vm)
        kind = _verdict(source, host.os_release) if source is not None else ""
        if kind:
            sentence = sentences[kind].format(host=host.name, its=host.os_release, source=vm.host)
            return Refusal("InClusterUpgrade", sentence, kind)
    return Refusal("InClusterUpgrade", f"{host.name} does not suit during the upgrade.", "OLD_OS")


# Compatibility-Version


def _accepts_versions(question: Question) -> Bools:
    """QEMU takes guests from the same or an older QEMU, libvirt from the same or an older major version."""
    accepted = question.columns.all()
    for vm in question.vms:
        source = question.source_of(vm)
        if source is None:
            continue
        with np.errstate(invalid="ignore"):
            if source.hypervisor_version is not None:
                qemu = question.columns.number("hypervisor_version")
                accepted &= ~(qemu < source.hypervisor_version // 1000 * 1000)
            if source.libvirt_version is not None:
                libvirt = question.columns.number("libvirt_version")
                accepted &= ~(libvirt < source.libvirt_version // 1_000_000 * 1_000_000)
    return accepted


def _version(number: int | None) -> str:
    return "?" if number is None else f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _because_versions(question: Question, row: int) -> Refusal:
    host = question.account(row)
    for vm in question.vms:
        source = question.source_of(vm)
        if source is None:
            continue
        if (host.hypervisor_version or 0) // 1000 < (source.hypervisor_version or 0) // 1000:
            here, there = _version(source.hypervisor_version), _version(host.hypervisor_version)
            sentence = f"{host.name} has QEMU {there}, older than {here} on {source.name} where {vm.name} runs."
            return Refusal("Compatibility-Version", sentence, "UNSUPPORTED_COMPATIBILITY_VERSION")
        here, there = _version(source.libvirt_version), _version(host.libvirt_version)
        if (host.libvirt_version or 0) // 1_000_000 < (source.libvirt_version or 0) // 1_000_000:
            sentence = f"{host.name} has libvirt {there}, older than {here} on {source.name} where {vm.name} runs."
            return Refusal("Compatibility-Version", sentence, "UNSUPPORTED_COMPATIBILITY_VERSION")
    sentence = f"{host.name} has older software than the VM needs."
    return Refusal("Compatibility-Version", sentence, "UNSUPPORTED_COMPATIBILITY_VERSION")


PIN_TO_HOST = Filter(
    "PinToHost", _accepts_pinned, _because_pinned, "A VM that does not migrate stays on its hosts.", is_mandatory=True
)
MIGRATION = Filter("Migration", _accepts_migration, _because_migration, "A running VM moves to another machine.")
CLUSTER_IN_MAINTENANCE = Filter(
    "ClusterInMaintenance",
    _accepts_in_maintenance,
    _because_in_maintenance,
    "Only highly available VMs start, running VMs may move.",
)
IN_CLUSTER_UPGRADE = Filter(
    "InClusterUpgrade",
    _accepts_upgrade,
    _because_upgrade,
    "A running VM moves to the same or a newer major version of the same operating system.",
)
COMPATIBILITY_VERSION = Filter(
    "Compatibility-Version",
    _accepts_versions,
    _because_versions,
    "QEMU and libvirt not older than where the VM runs.",
    is_mandatory=True,
)
