"""What is wrong with the devices of a draft. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpconsole.core.machines.draft import DiskDraft, Graphics, NicDraft, VmDraft
from hpconsole.core.machines.field_labels import size
from hpconsole.core.machines.problem import Problem
from hpconsole.core.machines.surroundings import Surroundings, named

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_VOLUME_NAME = re.compile(r"[\w.+@-][\w.+@ -]{0,199}", re.UNICODE)
_BUSES = ("virtio", "scsi", "sata", "ide", "usb", "fdc", "xen", "sd", "uml", "nvme", "")
_WATCHDOGS = ("", "i6300esb", "ib700", "diag288", "itco")
_ACTIONS = ("reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi")
_LARGEST_DISK_KIB = 2**43  # 8 PiB: more is a slip of the finger


def check(draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    """Every problem of the tab Devices."""
    targets: set[str] = set()
    paths: set[str] = set()
    for place, disk in enumerate(draft.disks):
        yield from _disk(disk, f"disks.{place}", draft, around)
        if disk.target and disk.target in targets:
            yield Problem(f"disks.{place}.target", f"Two disks are named {disk.target[:20]}.")
        if disk.path and disk.path in paths and not disk.is_readonly and not disk.is_shareable:
            yield Problem(f"disks.{place}.path", f"{disk.path[:80]} is a disk of this VM twice.")
        targets.add(disk.target)
        paths.add(disk.path)
    for place, nic in enumerate(draft.nics):
        yield from _nic(nic, f"nics.{place}", draft, around)
    if draft.has_smartcard and not draft.has_usb:
        yield Problem("has_smartcard", "A smartcard reader is a USB device: turn USB on, or the smartcard off.")
    if draft.has_smartcard and draft.graphics is not Graphics.SPICE and draft.is_new:
        yield Problem("has_smartcard", "The smartcard is read through SPICE: choose SPICE as graphical console.")
    if draft.watchdog_model not in _WATCHDOGS:
        yield Problem("watchdog_model", f"There is no watchdog “{draft.watchdog_model[:30]}”.")
    elif draft.watchdog_action not in _ACTIONS:
        yield Problem("watchdog_action", f"A watchdog cannot do “{draft.watchdog_action[:30]}”.")


def _disk(disk: DiskDraft, field: str, draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    if disk.bus not in _BUSES:
        yield Problem(f"{field}.bus", f"There is no disk bus “{disk.bus[:30]}”.")
    if disk.bus == "usb" and not draft.has_usb:
        yield Problem(f"{field}.bus", "The disk is on USB, which is off: choose virtio, or turn USB on.")
    if disk.key and not disk.is_new_volume:
        return
    if disk.is_new_volume or disk.pool:
        yield from _volume(disk, field, draft, around)
    elif disk.device != "cdrom" and not disk.path:
        yield Problem(f"{field}.path", "The disk has no file or volume: choose one, or a size for a new one.")
    elif disk.path and not disk.path.startswith("/"):
        yield Problem(f"{field}.path", "A path on the host begins with “/”.")


def _volume(disk: DiskDraft, field: str, draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    if not disk.pool:
        yield Problem(f"{field}.pool", "Choose the storage pool in which the volume is made.")
    hosts = around.specific(draft) or tuple(
        host for host in (around.snapshot.hosts.get(around.host),) if host is not None
    )
    lacking = [host for host in hosts if host.devices.storage_pools and disk.pool not in host.devices.storage_pools]
    if disk.pool and lacking:
        here = any(host.name == around.host for host in lacking)
        yield Problem(
            f"{field}.pool", f"{named(lacking)} has no active storage pool {disk.pool[:60]}.", is_warning=not here
        )
    if not _VOLUME_NAME.fullmatch(disk.volume):
        yield Problem(f"{field}.volume", "The volume needs a name of letters, digits and . _ - + @, up to 200.")
    if disk.format not in ("qcow2", "raw"):
        yield Problem(f"{field}.format", "A new volume is qcow2 or raw.")
    if disk.is_linked and disk.format != "qcow2":
        yield Problem(f"{field}.format", "Only a qcow2 volume can be linked to another one.")
    if disk.create_kib is not None and not 1024 <= disk.create_kib <= _LARGEST_DISK_KIB:
        yield Problem(f"{field}.create_kib", f"A disk has 1 MiB to {size(_LARGEST_DISK_KIB)}.")


def _nic(nic: NicDraft, field: str, draft: VmDraft, around: Surroundings) -> Iterator[Problem]:
    if nic.mac and not _MAC.fullmatch(nic.mac):
        yield Problem(f"{field}.mac", f"“{nic.mac[:30]}” is no MAC address, such as 52:54:00:12:34:56.")
    elif nic.mac and int(nic.mac[:2], 16) & 1:
        yield Problem(f"{field}.mac", f"{nic.mac} is a multicast address: its first byte has to be even.")
    if nic.kind in ("network", "bridge", "direct") and not nic.source:
        yield Problem(
            f"{field}.source", f"Choose the {nic.kind if nic.kind != 'direct' else 'device'} it is plugged into."
        )
    if nic.kind == "network" and nic.source and not nic.key:
        hosts = around.specific(draft) or tuple(
            host for host in (around.snapshot.hosts.get(around.host),) if host is not None
        )
        lacking = [host for host in hosts if host.devices.networks and nic.source not in host.devices.networks]
        if lacking:
            here = any(host.name == around.host for host in lacking)
            yield Problem(
                f"{field}.source", f"{named(lacking)} has no active network {nic.source[:60]}.", is_warning=not here
            )
