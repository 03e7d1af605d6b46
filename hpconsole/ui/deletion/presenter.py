"""What *Delete VM(s)* says: what goes, what stays and where, how it is undone, and why it cannot be done. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpconsole.core.machines.life import Deleted, own_disks
from hpconsole.core.model.host import LinkState
from hpconsole.core.model.snapshot import ClusterSnapshot
from hpconsole.core.model.vm import Vm
from hpconsole.ui import format as fmt

FOLDER = "deleted-vms"  # below the user's data folder


@dataclass(frozen=True, slots=True)
class DeletionChoice:
    """What was confirmed. `save_in` None: no definition is kept."""

    vms: tuple[Vm, ...]
    keep_nvram: bool
    save_in: Path | None


@dataclass(frozen=True, slots=True)
class VmLines:
    """One VM in the list: what is removed, and the lines below it."""

    title: str
    details: tuple[str, ...]


def question(vms: Sequence[Vm]) -> str:
    """What is asked."""
    return f"Delete {vms[0].name}?" if len(vms) == 1 else f"Delete {len(vms)} VMs?"


def accept_text(vms: Sequence[Vm]) -> str:
    """What the button says."""
    return "&Delete VM" if len(vms) == 1 else f"&Delete {len(vms)} VMs"


def lines_of(vm: Vm, snapshot: ClusterSnapshot) -> VmLines:
    """What becomes of this VM, exactly."""
    disks = own_disks(vm)
    details = [f"Disk stays: {disk}" for disk in disks] or ["It has no disks of its own."]
    if vm.devices.has_nvram:
        details.append(f"It has NVRAM: if kept, it stays on {vm.host}, and a new UEFI VM of this name takes it over.")
    if vm.devices.has_tpm_state:
        details.append(f"It has an emulated TPM: its keys stay on {vm.host} with the NVRAM, or go with it for good.")
    if vm.other_hosts:
        details.append(f"{fmt.names(vm.other_hosts)} keeps a definition of it.")
    if vm.intent.high_availability:
        details.append("It is highly available: nothing restarts it any more.")
    groups = tuple(group.name for group in snapshot.affinity_groups if vm.uuid in group.vms)
    if vm.autostart:
        details.append("It starts with its host: switch that on again (virsh autostart) if you define it anew.")
    if groups:
        details.append(f"Still named in affinity {'group' if len(groups) == 1 else 'groups'} {fmt.names(groups)}.")
    return VmLines(f"{vm.name}: its definition is removed from {vm.host}", tuple(details))


def nvram_hint(vms: Sequence[Vm]) -> str:
    """Why there is no choice about NVRAM and TPM; empty where there is one."""
    if any(vm.devices.has_nvram or vm.devices.has_tpm_state for vm in vms):
        return ""
    return "It boots by BIOS and has no NVRAM." if len(vms) == 1 else "They boot by BIOS and have no NVRAM."


def folder_of(text: str) -> Path | None:
    """The folder that was typed; None where it names the home of a user who does not exist."""
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:
        return None


def folder_problem(text: str) -> str:
    """Why nothing can be saved there; empty where it can be tried."""
    if not text.strip():
        return "Say in which folder, or do not save."
    if folder_of(text) is None:
        return f"There is no home folder {text.strip().split('/')[0]} on this computer. Choose another folder."
    return ""


def undo_sentence(vms: Sequence[Vm], snapshot: ClusterSnapshot, *, is_saved: bool) -> str:
    """How it is taken back, or why it cannot be."""
    which = "this VM" if len(vms) == 1 else "these VMs"
    if not is_saved:
        return f"This cannot be undone: nothing else has the definition of {which}, only the disks stay."
    hosts = {vm.host for vm in vms}
    host = snapshot.hosts.get(next(iter(hosts)) or "") if len(hosts) == 1 else None
    uri = host.uri if host is not None else "URI-OF-ITS-HOST"
    files, hold, read = ("file", "It holds", "it") if len(vms) == 1 else ("files", "They hold", "them")
    return (
        f"To have {which} again: virsh -c {uri} define FILE, with the saved {files}; the disks are still there. "
        f"{hold} passwords of the VM, so only you can read {read}."
    )


def why_not(vms: Sequence[Vm], snapshot: ClusterSnapshot) -> str:
    """Why these cannot be deleted as things are now; empty where they can. The hosts are asked once more anyway."""
    for asked in vms:
        vm = snapshot.vms.get(asked.uuid)
        if vm is None or vm.host != asked.host:
            return f"{asked.name} is not on {asked.host} any more."
        if vm.process_hosts:
            return f"{vm.name} is {vm.state.value} on {vm.process_hosts[0]} by now. Only VMs that are shut off can go."
        host = snapshot.hosts.get(vm.host or "")
        if host is None or host.link.state is not LinkState.CONNECTED:
            return f"{vm.host} does not answer, so {vm.name} cannot be deleted now."
    return ""


def outcome_sentence(done: Sequence[Deleted]) -> str:
    """What was deleted, and where its definition is."""
    names = fmt.names(tuple(one.name for one in done))
    kept = [one.file for one in done if one.file is not None]
    if not kept:
        return f"{names} {'was' if len(done) == 1 else 'were'} deleted."
    where = f"Its definition is in {kept[0]}." if len(done) == 1 else f"Their definitions are in {kept[0].parent}."
    return f"{names} {'was' if len(done) == 1 else 'were'} deleted. {where}"


def broken_off_sentence(vms: Sequence[Vm], ended: int) -> str:
    """What is said of the rest when hpconsole itself failed: `ended` of these were deleted or refused before."""
    rest = tuple(vm.name for vm in vms[ended + 1 :])
    untouched = f" {fmt.names(rest)} {'was' if len(rest) == 1 else 'were'} not touched." if rest else ""
    return (
        f"hpconsole made a mistake while it deleted {vms[ended].name}: look whether it is still there.{untouched} "
        "Please report it with what the log says."
    )
