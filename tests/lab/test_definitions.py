"""What hpconsole writes, each kind of VM: valid for libvirt's schema, and taken by a real libvirt as it stands.

Where a host has to have something for it (UEFI firmware, an emulated TPM), the test says what is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hpconsole.core.machines import editing
from hpconsole.core.machines.draft import (
    CpuPinningPolicy,
    DiskDraft,
    Firmware,
    Graphics,
    NicDraft,
    OptimizedFor,
    VcpuTopology,
    VmDraft,
)
from hpconsole.core.machines.making import new_draft
from hpconsole.core.machines.profile import with_type
from hpconsole.core.machines.reading import read_draft
from hpconsole.core.machines.writing import render
from hpconsole.core.model.cpuset import CpuSet
from hpconsole.core.model.vm import NumaMode
from tests.lab.commands import CLEAN_ENVIRONMENT, LabError
from tests.lab.lab import Lab

PLAIN = replace(new_draft("vm"), virt_type="qemu", cpu_mode="custom", cpu_model="qemu64", disks=(), nics=())


def big() -> VmDraft:
    """Huge pages, two virtual nodes one of which spans, IO threads, everything pinned."""
    draft = editing.with_memory(editing.with_topology(PLAIN, VcpuTopology(2, 2, 2)), 512 << 10)
    draft = editing.with_node_count(editing.with_huge_pages(editing.with_iothreads(draft, 2), 2048), 2)
    draft = editing.pin_node(editing.pin_node(editing.with_hosts(draft, ["a", "b"]), 0, [0]), 1, [0, 1])
    draft = editing.pin_vcpus(draft, {vcpu: CpuSet.of([vcpu, vcpu + 8]) for vcpu in range(8)})
    draft = replace(draft, emulator_text="0-1", iothread_texts=((1, "2"), (2, "10")), shares_pages=False)
    return replace(draft, cpu_shares=2048, labels=frozenset({"x", "pool:y"}), high_availability=True)


def tuned(mode: NumaMode) -> VmDraft:
    draft = editing.with_node_count(big(), 1 if mode is NumaMode.PREFERRED else 2)
    nodes = tuple(replace(node, mode=mode, host_nodes=(node.index,)) for node in draft.numa_nodes)
    return replace(draft, numa_nodes=nodes)


def queued() -> VmDraft:
    draft = replace(editing.with_vcpus(PLAIN, 4), nics=(NicDraft(),), disks=(DiskDraft(path="/a.qcow2"),))
    return editing.with_iothreads(editing.with_multi_queue(draft, is_on=True), 2)


DISKS = (
    DiskDraft(path="/a.qcow2", iothread=None, cache="none"),
    DiskDraft(path="/b.raw", bus="scsi", format="raw", is_shareable=True),
    DiskDraft(device="cdrom", bus="sata", path="/c.iso", format="raw"),
    DiskDraft(device="cdrom", bus="sata", path=""),
    DiskDraft(kind="block", path="/dev/x", format="raw", bus="sata"),
    DiskDraft(kind="volume", pool="images", volume="v", format="raw"),
)
NICS = (
    NicDraft(kind="user", source=""),
    NicDraft(kind="bridge", source="br0", mac="52:54:00:00:00:01", queues=4),
    NicDraft(kind="direct", source="eth0", model="e1000e"),
)
SPICE = replace(PLAIN, graphics=Graphics.SPICE, video_model="qxl", has_smartcard=True, has_sound=True, has_rng=True)
UEFI, TPM = "UEFI firmware: the Debian package ovmf", "an emulated TPM: the Debian packages swtpm and swtpm-tools"

KINDS: dict[str, tuple[Callable[[], VmDraft], str]] = {
    "plain": (lambda: PLAIN, ""),
    "server": (lambda: with_type(PLAIN, OptimizedFor.SERVER), ""),
    "desktop": (lambda: with_type(PLAIN, OptimizedFor.DESKTOP), ""),
    "high-performance": (lambda: with_type(PLAIN, OptimizedFor.HIGH_PERFORMANCE), ""),
    "spice": (lambda: replace(SPICE, title="a <title>", description="two\nlines & \N{ROCKET}"), ""),
    "watchdog": (lambda: replace(PLAIN, watchdog_model="i6300esb", watchdog_action="poweroff"), ""),
    "i440fx": (lambda: replace(PLAIN, machine="pc"), ""),
    "no-usb-no-balloon": (lambda: replace(PLAIN, has_usb=False, has_balloon=False, has_serial_console=False), ""),
    "devices": (lambda: replace(PLAIN, disks=DISKS, nics=NICS, boot_devices=("cdrom", "hd"), has_boot_menu=True), ""),
    "queues-and-io-threads": (queued, ""),
    "pinned": (big, ""),
    "dedicated": (lambda: editing.with_policy(big(), CpuPinningPolicy.DEDICATED), ""),
    "isolate-threads": (lambda: editing.with_policy(big(), CpuPinningPolicy.ISOLATE_THREADS), ""),
    "keep-the-shape": (lambda: editing.with_policy(big(), CpuPinningPolicy.KEEP_SHAPE), ""),
    "resize-and-pin": (lambda: editing.with_policy(big(), CpuPinningPolicy.RESIZE_AND_PIN_NUMA), ""),
    "own-map": (lambda: editing.pin_vcpus(big(), {0: CpuSet.of([7])}, host="b"), ""),
    **{f"memory-{mode.value}": (partial(tuned, mode), "") for mode in NumaMode},
    "fewer-now": (lambda: replace(editing.with_vcpus(PLAIN, 4), vcpus_now=2, memory_now_kib=1 << 20), ""),
    "tsc": (lambda: replace(PLAIN, cpu_mode="host-model", cpu_model="", needs_tsc_frequency=True), ""),
    "uefi": (lambda: replace(PLAIN, firmware=Firmware.UEFI), UEFI),
    "secure-boot": (lambda: replace(PLAIN, firmware=Firmware.UEFI_SECURE), UEFI),
    "tpm": (lambda: replace(PLAIN, has_tpm=True), TPM),
    "high-performance-with-tpm": (lambda: replace(with_type(PLAIN, OptimizedFor.HIGH_PERFORMANCE), has_tpm=True), TPM),
}


FIRMWARE = Path("/usr/share/qemu/firmware")
KEPT = (
    *("memory_kib", "memory_now_kib", "topology", "vcpus_now", "cpu_pinning_policy", "pinning_text", "numa_nodes"),
    *(
        "emulator_text",
        "iothread_texts",
        "iothreads",
        "huge_page_kib",
        "shares_pages",
        "firmware",
        "has_tpm",
        "graphics",
    ),
    *("allowed_hosts", "migration_mode", "high_availability", "per_host", "description", "needs_tsc_frequency"),
)


def require(*needs: str) -> None:
    """Skip where this machine lacks what the definition asks of a host."""
    if UEFI in needs and not any(FIRMWARE.glob("*.json")):
        pytest.skip(f"these hosts have no {UEFI}")
    path = CLEAN_ENVIRONMENT["PATH"]
    if TPM in needs and not all(shutil.which(program, path=path) for program in ("swtpm", "swtpm_setup")):
        pytest.skip(f"these hosts have no {TPM}")


def valid(file: Path) -> str:
    """What the schema has against a definition; nothing is asked where the schema's program is not there."""
    if not (shutil.which("xmllint") and shutil.which("virt-xml-validate")):
        return ""
    done = subprocess.run(["virt-xml-validate", str(file), "domain"], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("needs", ["", UEFI, TPM], ids=["by itself", "UEFI", "TPM"])
def test_what_is_written_is_valid_accepted_and_kept_by_libvirt(lab: Lab, tmp_path: Path, needs: str) -> None:
    require(needs)
    wrong: dict[str, str] = {}
    for kind, (make, wanted) in KINDS.items():
        if wanted != needs:
            continue
        text = render(replace(make(), name=kind))
        file = tmp_path / f"{kind}.xml"
        file.write_text(text)
        try:
            wrong[kind] = valid(file)
            lab.virsh("a", "define", str(file), "--validate")
            kept, meant = read_draft(lab.virsh("a", "dumpxml", kind, "--inactive")), read_draft(text)
            wrong[kind] += ", ".join(field for field in KEPT if getattr(kept, field) != getattr(meant, field))
        except LabError as error:
            wrong[kind] += str(error)
    assert len(wrong) >= 2
    assert {kind: words for kind, words in wrong.items() if words} == {}


def test_a_vm_with_secure_boot_and_a_tpm_starts(lab: Lab, tmp_path: Path) -> None:
    require(UEFI, TPM)
    file = tmp_path / "vm.xml"
    draft = replace(PLAIN, name="sealed", firmware=Firmware.UEFI_SECURE, has_tpm=True)
    file.write_text(render(draft))
    lab.virsh("a", "define", str(file), "--validate")
    lab.virsh("a", "start", "sealed", "--paused")
    live = ElementTree.fromstring(lab.virsh("a", "dumpxml", "sealed"))
    loader, tpm = live.find("./os/loader"), live.find("./devices/tpm/backend")
    assert loader is not None
    assert loader.get("secure") == "yes"
    assert tpm is not None
    assert tpm.get("type") == "emulator"
