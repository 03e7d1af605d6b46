"""A VM as it is being edited: every field of the dialog as one frozen value, possible or not.

`xml` is the definition the draft was read from; `writing.render` writes into it only what the draft says differently.
Knows neither hosts nor libvirt. Change a draft with `dataclasses.replace`, or with `editing`, which keeps what belongs
together together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hpconsole.core.model.host import HostTopology
from hpconsole.core.model.vm import (
    CpuPinningPolicy,
    MigrationMode,
    NumaPin,
    NumaTune,
    OptimizedFor,
    VcpuTopology,
    is_pinned_or_high_performance,
)
from hpconsole.core.planning.numa_rules import NodeDraft

__all__ = [
    "CpuPinningPolicy",
    "DiskDraft",
    "Firmware",
    "Graphics",
    "HostMap",
    "MigrationMode",
    "NicDraft",
    "NodeDraft",
    "NumaPin",
    "NumaTune",
    "OptimizedFor",
    "ProfileChange",
    "VcpuTopology",
    "VmDraft",
]


_ONE_VCPU = VcpuTopology()


class Graphics(StrEnum):
    """The graphical console. None with no video device is headless."""

    NONE = "none"
    VNC = "vnc"
    SPICE = "spice"
    OTHER = "other"  # of a kind that hpconsole leaves as it is


class Firmware(StrEnum):
    """What the VM boots with. CUSTOM: a loader named by path in the definition, which is left as it is."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class DiskDraft:
    """One disk or CD drive.

    A disk is one of: what stands at `path`; the volume `volume` of the storage pool `pool`; a new volume, made when
    the draft is saved (`create_kib` says how large). `clone_from` (a volume of the same pool) makes the new volume a
    copy of that one, `is_linked` an overlay over it instead.
    """

    key: str = ""  # its place among the disks when the draft was read ("0" ...); "" = a new one
    device: str = "disk"  # disk, cdrom, floppy, lun
    target: str = ""  # vda, sda ...; "" = the next free one of its bus
    bus: str = "virtio"  # virtio, scsi, sata, ide, usb
    kind: str = "file"  # file, block, volume, network, dir ...
    path: str = ""  # file, device or name; "" = no medium
    pool: str = ""
    volume: str = ""
    format: str = "qcow2"  # raw, qcow2; of a new volume, and as the driver reads it
    create_kib: int | None = None
    clone_from: str = ""
    is_linked: bool = False
    is_readonly: bool = False
    is_shareable: bool = False
    cache: str = ""  # "" = the hypervisor's default
    queues: int | None = None  # virtio multi-queue
    iothread: int | None = None  # which IO thread serves it

    @property
    def is_new_volume(self) -> bool:
        """Whether saving makes a volume."""
        return bool(self.pool) and (self.create_kib is not None or bool(self.clone_from))


def volume_name(vm_name: str, place: int = 0, form: str = "qcow2") -> str:
    """What a VM's volume is called: `name.qcow2`, `name-1.qcow2` ..."""
    kept = "".join(c if c.isalnum() or c in "._-+@" else "-" for c in vm_name)
    return f"{kept or 'disk'}{f'-{place}' if place else ''}.{form}"


@dataclass(frozen=True, slots=True)
class NicDraft:
    """One network interface."""

    key: str = ""  # its place among the interfaces when the draft was read ("0" ...); "" = a new one
    kind: str = "network"  # network, bridge, direct, user ...
    source: str = "default"  # name of the network, bridge or device
    model: str = "virtio"
    mac: str = ""  # "" = libvirt makes one up
    queues: int | None = None


@dataclass(frozen=True, slots=True)
class HostMap:
    """A literal pinning that holds on one host only. Empty text or no pins: as everywhere else."""

    host: str
    pinning_text: str = ""
    numa: tuple[NumaPin, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """One field that choosing a type changed, with the value it had before."""

    field: str  # attribute of VmDraft
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class VmDraft:
    """Everything a VM's dialog shows. Attribute names are the field names of problems, changes and JSON."""

    xml: str = ""  # the definition it was read from; "" = none: a new VM

    # General
    name: str = ""
    title: str = ""
    description: str = ""
    uuid: str = ""  # never edited; "" = libvirt makes one up
    optimized_for: OptimizedFor = OptimizedFor.SERVER
    template: str = ""  # what it was made from; never edited
    labels: frozenset[str] = frozenset()

    # System
    memory_kib: int = 2 * 1024 * 1024  # at most
    memory_now_kib: int = 2 * 1024 * 1024  # what the balloon gives it; `memory_kib` where there is none
    topology: VcpuTopology = _ONE_VCPU  # its product is the most vCPUs
    vcpus_now: int = 1  # plugged in at the start
    arch: str = "x86_64"
    machine: str = ""  # "" = the hypervisor's default
    virt_type: str = "kvm"
    cpu_mode: str = ""  # "", host-passthrough, host-model, custom, maximum
    cpu_model: str = ""  # of mode custom
    needs_tsc_frequency: bool = False

    # Host and migration
    allowed_hosts: tuple[str, ...] = ()  # Specific Host(s), in order; empty = any host in the cluster
    migration_mode: MigrationMode = MigrationMode.AUTOMATIC
    is_migration_mode_chosen: bool = False  # by the user

    # High availability
    high_availability: bool = False
    priority: int = 50  # 1-100
    watchdog_model: str = ""  # "" = none; i6300esb, itco, ib700, diag288
    watchdog_action: str = "reset"

    # Resource allocation
    has_balloon: bool = True
    iothreads: int = 0
    is_multi_queue: bool = False  # every virtio interface and disk with a queue for each vCPU
    cpu_shares: int | None = None
    huge_page_kib: int | None = None
    shares_pages: bool = True  # KSM may merge its memory; False = <nosharepages/>

    # NUMA and pinning
    cpu_pinning_policy: CpuPinningPolicy = CpuPinningPolicy.NONE
    pinning_text: str = ""  # as typed (pinning_text grammar); of KEEP_SHAPE: the map whose shape is kept
    shape_host: str = ""  # whose CPUs that map means, where it is not the host of the definition; kept nowhere
    shape_topology: HostTopology | None = None  # that host's, where the map comes from a template
    emulator_text: str = ""  # CPUs of the emulator threads, as typed ("2,34"); "" = not pinned
    iothread_texts: tuple[tuple[int, str], ...] = ()  # IO thread number -> CPUs as typed
    numa_nodes: tuple[NodeDraft, ...] = ()  # `host_nodes` empty = not pinned
    numa_tune: NumaTune | None = None  # the binding of the memory as a whole
    per_host: tuple[HostMap, ...] = ()

    # Devices
    disks: tuple[DiskDraft, ...] = ()
    nics: tuple[NicDraft, ...] = ()
    graphics: Graphics = Graphics.VNC
    video_model: str = "virtio"  # "" = no video device
    has_serial_console: bool = True
    has_usb: bool = True
    has_smartcard: bool = False
    has_rng: bool = False
    has_sound: bool = False
    has_tpm: bool = False

    # Boot
    firmware: Firmware = Firmware.BIOS
    boot_devices: tuple[str, ...] = ("hd",)  # hd, cdrom, network, fd, in order
    has_boot_menu: bool = False

    # What the type High Performance changed, so that leaving it restores what nobody touched since.
    profile: tuple[ProfileChange, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether it is not made yet: nothing stands behind it, or a template."""
        return not self.uuid

    @property
    def vcpus(self) -> int:
        """The most vCPUs it can have."""
        return self.topology.vcpus

    @property
    def is_headless(self) -> bool:
        """Whether it has no graphical console."""
        return self.graphics is Graphics.NONE and not self.video_model

    @property
    def is_passthrough_cpu(self) -> bool:
        """Pass-through host CPU."""
        return self.cpu_mode == "host-passthrough"

    @property
    def is_pinned_or_high_performance(self) -> bool:
        """The single definition, of the VM this draft makes."""
        return is_pinned_or_high_performance(
            self.optimized_for,
            self.cpu_pinning_policy,
            is_passthrough_cpu=self.is_passthrough_cpu,
            has_pinned_vcpus=bool(self.pinning_text),
            has_pinned_nodes=any(node.host_nodes for node in self.numa_nodes),
        )
