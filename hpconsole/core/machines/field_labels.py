"""What are the fields of a draft called, and how is a value shown? Words for changes, problems and tables. Pure."""

from __future__ import annotations

from enum import StrEnum

from hpconsole.core.machines.draft import DiskDraft, Firmware, Graphics, NicDraft, NodeDraft, VcpuTopology
from hpconsole.core.machines.migration_mode import NAMES
from hpconsole.core.model.vm import CpuPinningPolicy, MigrationMode, OptimizedFor

LABELS = {
    "name": "Name",
    "title": "Title",
    "description": "Description",
    "optimized_for": "Optimized for",
    "template": "Template",
    "labels": "Labels",
    "memory_kib": "Memory",
    "memory_now_kib": "Memory in use (balloon)",
    "topology": "Virtual sockets, cores and threads",
    "vcpus_now": "vCPUs plugged in",
    "arch": "Architecture",
    "machine": "Machine type",
    "virt_type": "Virtualisation",
    "cpu_mode": "CPU mode",
    "cpu_model": "CPU model",
    "needs_tsc_frequency": "Same TSC frequency",
    "allowed_hosts": "Specific Host(s)",
    "migration_mode": "Migration mode",
    "is_migration_mode_chosen": "Migration mode chosen by you",
    "high_availability": "High availability",
    "priority": "Priority",
    "watchdog_model": "Watchdog",
    "watchdog_action": "Watchdog action",
    "has_balloon": "Memory balloon",
    "iothreads": "IO threads",
    "is_multi_queue": "Multi-queue",
    "cpu_shares": "CPU shares",
    "huge_page_kib": "Huge pages",
    "shares_pages": "Page sharing (KSM)",
    "cpu_pinning_policy": "CPU pinning policy",
    "pinning_text": "CPU pinning",
    "emulator_text": "Emulator threads",
    "iothread_texts": "IO thread pinning",
    "numa_nodes": "Virtual NUMA nodes",
    "numa_tune": "Memory binding",
    "per_host": "Pinning of single hosts",
    "disks": "Disks",
    "nics": "Network interfaces",
    "graphics": "Graphical console",
    "video_model": "Video device",
    "has_serial_console": "Serial console",
    "has_usb": "USB",
    "has_smartcard": "Smartcard",
    "has_rng": "Random number generator",
    "has_sound": "Sound",
    "has_tpm": "TPM",
    "firmware": "Firmware",
    "boot_devices": "Boot order",
    "has_boot_menu": "Boot menu",
    "profile": "Set by High Performance",
    "xml": "XML",
}
# By kind, too: “none” of one kind equals, and hashes as, “none” of another.
_ENUM_WORDS: dict[tuple[type[StrEnum], StrEnum], str] = {
    (OptimizedFor, OptimizedFor.DESKTOP): "Desktop",
    (OptimizedFor, OptimizedFor.SERVER): "Server",
    (OptimizedFor, OptimizedFor.HIGH_PERFORMANCE): "High Performance",
    (CpuPinningPolicy, CpuPinningPolicy.NONE): "None",
    (CpuPinningPolicy, CpuPinningPolicy.MANUAL): "Manual",
    (CpuPinningPolicy, CpuPinningPolicy.RESIZE_AND_PIN_NUMA): "Resize and pin to NUMA",
    (CpuPinningPolicy, CpuPinningPolicy.DEDICATED): "Dedicated",
    (CpuPinningPolicy, CpuPinningPolicy.ISOLATE_THREADS): "Isolate threads",
    (CpuPinningPolicy, CpuPinningPolicy.KEEP_SHAPE): "Keep the shape",
    (Graphics, Graphics.NONE): "headless",
    (Graphics, Graphics.VNC): "VNC",
    (Graphics, Graphics.SPICE): "SPICE",
    (Graphics, Graphics.OTHER): "another one",
    (Firmware, Firmware.BIOS): "BIOS",
    (Firmware, Firmware.UEFI): "UEFI",
    (Firmware, Firmware.UEFI_SECURE): "UEFI with secure boot",
    (Firmware, Firmware.CUSTOM): "named in the XML",
}
_CPU_MODES = {
    "host-passthrough": "pass-through host CPU",
    "host-model": "like the host",
    "custom": "a named model",
    "maximum": "all the hypervisor can do",
    "": "the hypervisor's default",
}


def label_of(field: str) -> str:
    """The name of a field as a dialog shows it; of a nested one ("disks.0.path"), that of the whole."""
    return LABELS.get(field.partition(".")[0], field)


def shown(field: str, value: object) -> str:
    """A value in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, MigrationMode):
        return NAMES[value]
    if isinstance(value, StrEnum):
        return _ENUM_WORDS.get((type(value), value), value.value)
    if isinstance(value, int) and field.endswith("_kib"):
        return size(value)
    if field == "cpu_mode":
        return _CPU_MODES.get(str(value), str(value))
    if isinstance(value, VcpuTopology):
        parts = ((value.sockets, "socket"), (value.dies, "die"), (value.cores, "core"), (value.threads, "thread"))
        words = " × ".join(counted(count, word) for count, word in parts if word != "die" or count > 1)
        return f"{counted(value.vcpus, 'vCPU')} ({words})"
    if isinstance(value, tuple | frozenset):
        return _listed(field, value)
    return "none" if value in (None, "") else str(value)


def counted(count: int, word: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def size(kib: int) -> str:
    """Memory with the largest unit that says it exactly."""
    for unit, scale in (("TiB", 1 << 30), ("GiB", 1 << 20), ("MiB", 1 << 10)):
        if kib >= scale and kib % scale == 0:
            return f"{kib // scale:,} {unit}"
    return f"{kib:,} KiB"


def _listed(field: str, values: tuple[object, ...] | frozenset[object]) -> str:
    if not values:
        return "any host in the cluster" if field == "allowed_hosts" else "none"
    words = []
    for value in values if isinstance(values, tuple) else sorted(values, key=str):
        if isinstance(value, NodeDraft):
            bound = f" on host node {','.join(map(str, value.host_nodes))}" if value.host_nodes else ""
            words.append(f"node {value.index}: {size(value.memory_kib)}, {counted(len(value.vcpus), 'vCPU')}{bound}")
        elif isinstance(value, DiskDraft):
            words.append(f"{value.target or 'new'}: {value.path or value.volume or 'no medium'}")
        elif isinstance(value, NicDraft):
            words.append(f"{value.kind} {value.source}".strip())
        elif isinstance(value, tuple):
            words.append(" on ".join(str(part) for part in value))
        else:
            words.append(str(getattr(value, "host", value)))
    return "; ".join(words) if field in ("numa_nodes", "disks") else ", ".join(words)
